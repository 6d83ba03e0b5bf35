/**
 * Certification paths: from a leaf, over the intermediates that were presented, to an authority that is trusted.
 *
 * The trusted authority is held to its own certificate (validity, path length, name constraints), as SPIFFE bundles
 * hold certificates. Critical policy extensions are not processed and so are refused as unknown ones.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5280#section-6.1 RFC 5280 §6.1}
 * @module
 */
import type { Certificate } from './certificate.ts'
import { ProtocolError } from './errors.ts'
import { satisfiesNameConstraints } from './name-constraints.ts'
import { parsePublicKeyInfo, verifiesX509Signature } from './public-key-info.ts'

export interface PathOptions {
  readonly now: Date
  /** Most certificates in a path, leaf and root included. Default 8. */
  readonly maxDepth?: number
  /** How far the clocks of others may be off. Default 0. */
  readonly leewaySeconds?: number
}

/** Certificates of one name make the number of ways grow exponentially; no honest chain comes near this. */
const maxSignatureChecks = 32

/** One search: what it may use, and what stood in the way so far. */
interface Search {
  readonly intermediates: readonly Certificate[]
  readonly roots: readonly Certificate[]
  readonly options: PathOptions
  readonly maxDepth: number
  readonly checks: { left: number }
  readonly failures: ProtocolError[]
}

/**
 * The path from `leaf` to one of `roots`, both included. What the leaf may be used for is not checked.
 *
 * @param intermediates In any order; those that are not needed are passed over.
 * @throws {ProtocolError} `certificate_path`, `certificate_expired`, `certificate_not_yet_valid`,
 *   `certificate_signature`, `certificate_key`
 */
export function verifyCertificatePath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  roots: readonly Certificate[],
  options: PathOptions,
): readonly Certificate[] {
  if (roots.some((root) => isSameSubject(root, leaf))) throw new ProtocolError('certificate_path', 'the leaf is a root')
  checkCertificate(leaf, options)
  const search = {
    intermediates,
    roots,
    options,
    maxDepth: options.maxDepth ?? 8,
    checks: { left: maxSignatureChecks },
    failures: [],
  }
  const path = findPath([leaf], search)
  if (path === undefined) throw firstOf(search.failures)
  return path
}

function firstOf([first]: readonly ProtocolError[]): ProtocolError {
  return first ?? new ProtocolError('certificate_path', 'no path to a root')
}

function isSameSubject(a: Certificate, b: Certificate): boolean {
  return a.subject.equals(b.subject) && a.publicKeyInfo.equals(b.publicKeyInfo)
}

function findPath(path: readonly Certificate[], search: Search): readonly Certificate[] | undefined {
  if (path.length >= search.maxDepth) return undefined
  for (const root of search.roots) {
    const whole = [...path, root]
    if (isVouchedFor(path, root, search) && passes(search, () => checkConstraints(whole))) return whole
  }
  for (const issuer of search.intermediates) {
    if (path.includes(issuer) || !isVouchedFor(path, issuer, search)) continue
    const found = findPath([...path, issuer], search)
    if (found !== undefined) return found
  }
  return undefined
}

/** Whether the last certificate of `path` is signed by `issuer`, and `issuer` may sign it. */
function isVouchedFor(path: readonly Certificate[], issuer: Certificate, search: Search): boolean {
  const child = path[path.length - 1]
  if (child === undefined || !isNamedAsIssuer(issuer, child)) return false
  return passes(search, () => {
    checkIssuer(issuer, search.options)
    if (search.checks.left === 0) throw new ProtocolError('certificate_path', 'too many ways')
    search.checks.left -= 1
    checkSignature(child, issuer)
  })
}

function passes(search: Search, check: () => void): boolean {
  try {
    check()
    return true
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    search.failures.push(error)
    return false
  }
}

/** §6.1.3 (a)(4); §4.2.1.1: key identifiers tell authorities of one name apart. */
function isNamedAsIssuer(issuer: Certificate, child: Certificate): boolean {
  if (!issuer.subject.equals(child.issuer)) return false
  const [asked, held] = [child.authorityKeyId, issuer.subjectKeyId]
  return asked === undefined || held === undefined || asked.equals(held)
}

function checkCertificate(certificate: Certificate, { now, leewaySeconds = 0 }: PathOptions): void {
  const leewayMs = leewaySeconds * 1000
  if (now.getTime() + leewayMs < certificate.notBefore.getTime()) throw new ProtocolError('certificate_not_yet_valid')
  // §4.1.2.5: notAfter is inclusive, and a second lasts until the next.
  if (now.getTime() - leewayMs >= certificate.notAfter.getTime() + 1000) throw new ProtocolError('certificate_expired')
  if (certificate.unknownCriticalExtensions.length > 0) {
    throw new ProtocolError('certificate_path', 'an unknown critical extension')
  }
  parsePublicKeyInfo(certificate.publicKeyInfo)
}

/** §6.1.4 (k) and (n) */
function checkIssuer(issuer: Certificate, options: PathOptions): void {
  checkCertificate(issuer, options)
  if (issuer.basicConstraints?.ca !== true) throw new ProtocolError('certificate_path', 'an issuer is no authority')
  if (issuer.keyUsage !== undefined && !issuer.keyUsage.bits.has('keyCertSign')) {
    throw new ProtocolError('certificate_path', 'an issuer may not sign certificates')
  }
}

function checkSignature(child: Certificate, issuer: Certificate): void {
  const { keyType } = parsePublicKeyInfo(issuer.publicKeyInfo)
  const key = { keyType, publicKey: issuer.publicKey() }
  const algorithm = child.signatureAlgorithm
  if (algorithm === undefined || !verifiesX509Signature(algorithm, key, child.tbs, child.signature)) {
    throw new ProtocolError('certificate_signature')
  }
}

/** What an issuer says of all that is below it: §6.1.4 (l) and (m), §6.1.3 (b) and (c). */
function checkConstraints(path: readonly Certificate[]): void {
  path.forEach((issuer, index) => {
    if (index === 0) return
    const below = path.slice(0, index).filter((certificate, at) => at === 0 || !isSelfIssued(certificate))
    if (below.length - 1 > (issuer.basicConstraints?.pathLength ?? Number.POSITIVE_INFINITY)) {
      throw new ProtocolError('certificate_path', 'path length')
    }
    const { nameConstraints } = issuer
    if (nameConstraints === undefined) return
    if (!below.every((certificate) => satisfiesNameConstraints(certificate, nameConstraints))) {
      throw new ProtocolError('certificate_path', 'name constraints')
    }
  })
}

function isSelfIssued(certificate: Certificate): boolean {
  return certificate.issuer.equals(certificate.subject)
}
