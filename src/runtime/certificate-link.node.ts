/**
 * The link that is the certificate of the listener: whether it is one for the host that the issuer names.
 *
 * @module
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parseAddress } from '../core/address-range.ts'
import type { Configuration } from '../core/config.ts'
import { type Finding, findError, findWarning } from '../core/finding.ts'
import { type Check, concludeCheck, skipCheck } from './doctor.node.ts'

const name = 'certificate'
const soonMs = 14 * 86_400_000

export async function checkCertificate({ issuer, listen: { tls } }: Configuration, now: Date): Promise<Check> {
  const host = new URL(issuer).hostname.replace(/^\[(.*)\]$/, '$1')
  if (tls === 'off') return skipCheck(name, 'TLS ends elsewhere')
  if (tls === 'self') return concludeCheck(name, `our own, for ${host}, renewed by itself`, [])
  try {
    const [pem, key] = await Promise.all([readFile(tls.certificate), readFile(tls.key)])
    const certificate = new X509Certificate(pem)
    const seen = `${tls.certificate}: until ${certificate.validToDate.toISOString()}`
    return concludeCheck(name, seen, [
      ...findOtherHost(certificate, host),
      ...findExpiry(certificate, now),
      ...findOtherKey(certificate, key),
    ])
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    const message = `${tls.certificate} and ${tls.key} can not be read as a certificate and its key (${code})`
    return concludeCheck(name, tls.certificate, [findError('certificate_unread', message, 'put PEM files there')])
  }
}

function findOtherHost(certificate: X509Certificate, host: string): readonly Finding[] {
  const isAddress = parseAddress(host) !== undefined
  if ((isAddress ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined) return []
  const names = certificate.subjectAltName ?? 'no name'
  const message = `it is not for the issuer's host ${host}, but for ${names}`
  return [
    findError('certificate_host', message, 'have one made for the host, or set the issuer to a host that it is for'),
  ]
}

function findExpiry({ validFromDate, validToDate }: X509Certificate, now: Date): readonly Finding[] {
  const remedy = 'renew it: the gateway reads it again by itself'
  if (validToDate <= now) return [findError('certificate_expired', 'it has expired', remedy)]
  if (validFromDate > now)
    return [findError('certificate_early', 'it is not valid yet', 'look at the clock, and at the certificate')]
  if (validToDate.getTime() - now.getTime() > soonMs) return []
  return [findWarning('certificate_expires', 'it expires within two weeks', remedy)]
}

function findOtherKey(certificate: X509Certificate, key: Buffer): readonly Finding[] {
  if (certificate.checkPrivateKey(createPrivateKey(key))) return []
  return [findError('certificate_key', 'the key is that of another certificate', 'put both in place that go together')]
}
