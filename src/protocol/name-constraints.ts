/**
 * Name constraints: which names the certificates below an authority may have.
 *
 * URIs, DNS names and addresses are compared. A constraint of another form (mail, directory names …) is not
 * interpreted: below it, a certificate that has a name of that form is refused.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.10 RFC 5280 §4.2.1.10}
 * @module
 */
import type { Buffer } from 'node:buffer'
import type { Certificate } from './certificate.ts'
import { directoryNameTag, type GeneralNames, type NameConstraints } from './certificate-extensions.ts'
import { emptyName } from './distinguished-name.ts'

/** Each comparison takes some 50 ns, and both sides may be thousands of names long. */
const maxComparisons = 100_000

/** Whether every name of `certificate` is one that `constraints` let it have. */
export function satisfiesNameConstraints(certificate: Certificate, constraints: NameConstraints): boolean {
  const names = certificate.subjectAltName
  const { permitted, excluded } = constraints
  if (hasNameOfOtherForm(certificate, permitted) || hasNameOfOtherForm(certificate, excluded)) return false
  if (names === undefined) return true
  if (sizeOf(names) * (sizeOf(permitted) + sizeOf(excluded)) > maxComparisons) return false
  return (
    names.uris.every((uri) => isAllowed(uri, permitted.uris, excluded.uris, matchesUri, matchesExcludedUri)) &&
    names.dnsNames.every((name) => isAllowed(name, permitted.dnsNames, excluded.dnsNames, matchesDns, overlapsDns)) &&
    names.ips.every((ip) => isAllowed(ip, permitted.ips, excluded.ips, matchesIp, matchesIp))
  )
}

function sizeOf({ uris, dnsNames, ips }: GeneralNames): number {
  return uris.length + dnsNames.length + ips.length
}

function hasNameOfOtherForm(certificate: Certificate, constraints: GeneralNames): boolean {
  const names = certificate.subjectAltName
  if (constraints.emails.length > 0 && names !== undefined && names.emails.length > 0) return true
  if (constraints.others.length === 0) return false
  const constrainsSubject = constraints.others.some((name) => name[0] === directoryNameTag)
  return (names?.others.length ?? 0) > 0 || (constrainsSubject && !certificate.subject.equals(emptyName))
}

type Match<T> = (name: T, pattern: T) => boolean

function isAllowed<T>(
  name: T,
  permitted: readonly T[],
  excluded: readonly T[],
  matches: Match<T>,
  overlaps: Match<T>,
): boolean {
  if (permitted.length > 0 && !permitted.some((pattern) => matches(name, pattern))) return false
  return !excluded.some((pattern) => overlaps(name, pattern))
}

/** A URI without a host, or whose host is an address, satisfies no constraint of either kind. */
function matchesUri(uri: string, pattern: string): boolean {
  const host = hostOf(uri)
  return host !== undefined && matchesHost(host, pattern.toLowerCase())
}

function matchesExcludedUri(uri: string, pattern: string): boolean {
  const host = hostOf(uri)
  return host === undefined || matchesHost(host, pattern.toLowerCase())
}

const hostPattern = /^[a-z][a-z0-9+.-]*:\/\/([^/?#@:[\]]+)(?::\d*)?(?:[/?#]|$)/i
const ipv4Pattern = /^\d{1,3}(?:\.\d{1,3}){3}$/

function hostOf(uri: string): string | undefined {
  const host = hostPattern.exec(uri)?.[1]?.toLowerCase()
  return host === undefined || ipv4Pattern.test(host) ? undefined : host
}

/** A host for itself alone, and with a leading dot for all that is below it. */
function matchesHost(host: string, pattern: string): boolean {
  if (pattern.startsWith('.')) return host.length > pattern.length && host.endsWith(pattern)
  return pattern === '' || host === pattern
}

/** A domain for itself and for all that is below it. */
function matchesDns(name: string, pattern: string): boolean {
  const [host, domain] = [name.toLowerCase(), pattern.toLowerCase()]
  if (domain === '' || host === domain) return true
  return host.endsWith(domain.startsWith('.') ? domain : `.${domain}`)
}

/** A wildcard also stands for names that a narrower pattern excludes. */
function overlapsDns(name: string, pattern: string): boolean {
  if (matchesDns(name, pattern)) return true
  return name.startsWith('*.') && matchesDns(pattern.replace(/^\./, ''), name.slice(2))
}

/** `pattern` is an address and its mask. */
function matchesIp(ip: Buffer, pattern: Buffer): boolean {
  if (pattern.length !== ip.length * 2) return false
  return ip.every((byte, index) => {
    const mask = pattern[ip.length + index] as number
    return (byte & mask) === ((pattern[index] as number) & mask)
  })
}
