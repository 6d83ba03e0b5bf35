/**
 * Makes the keys and certificates of new authorities.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { parseCertificate } from '../protocol/certificate.ts'
import { formatBase64, formatHex, parseBase64 } from '../protocol/encoding.ts'
import { thumbprintJwk } from '../protocol/jwk.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { buildAuthorityCertificate, createX509Authority } from '../protocol/x509-svid.ts'
import type { Authority, NewAuthority } from './authority-plan.ts'
import type { KeyManager } from './key-manager.ts'
import { Refusal } from './refusal.ts'
import type { ReadUpstreamAuthority, UpstreamAuthority } from './upstream.ts'

export interface AuthorityMakerDeps {
  readonly keys: KeyManager
  readonly trustDomain: TrustDomain
  /** Set when ours is an intermediate. */
  readonly upstream: () => ReadUpstreamAuthority | undefined
  readonly randomBytes: (size: number) => Uint8Array
}

/** An authority's certificate is valid from a little before it was made, for verifiers whose clocks are behind. */
const backdateMs = 5 * 60_000
const minimumSlotSeconds = 60

export function createAuthorityMaker(deps: AuthorityMakerDeps) {
  return async (wanted: NewAuthority): Promise<Authority> => {
    const keyName = formatHex(deps.randomBytes(16))
    const { sealed, publicKey } = await deps.keys.createKey(sealedKeyName(wanted.ring, keyName), wanted.algorithm)
    const base = { ...wanted, keyName, sealedKey: sealed, publicKey: formatBase64(publicKey) }
    if (wanted.ring !== 'x509') return { ...base, id: thumbprintJwk(publicKey) }
    const readUpstream = deps.upstream()
    return readUpstream ? intermediate(deps, base, await readUpstream()) : selfSigned(deps, base)
  }
}

/** Under which name a private key is sealed. */
export function sealedKeyName(ring: string, keyName: string): string {
  return `authority/${ring}/${keyName}`
}

type Base = Omit<Authority, 'id'> & { readonly sealedKey: string; readonly keyName: string }

async function selfSigned(deps: AuthorityMakerDeps, base: Base): Promise<Authority> {
  const signer = await deps.keys.openKey(sealedKeyName(base.ring, base.keyName), base.algorithm, base.sealedKey)
  const certificate = await buildAuthorityCertificate({
    trustDomain: deps.trustDomain,
    publicKeyInfo: parseBase64(base.publicKey),
    serialNumber: deps.randomBytes(16),
    notBefore: new Date(base.createdAt.getTime() - backdateMs),
    notAfter: base.expiresAt,
    signer,
  })
  return { ...base, id: subjectKeyId(certificate), certificate: formatBase64(certificate) }
}

/** Nothing outlives its authority: an intermediate that would end after the certificate above it gets shorter slots. */
async function intermediate(deps: AuthorityMakerDeps, base: Base, upstream: UpstreamAuthority): Promise<Authority> {
  const life = fitBelow(base, upstream.certificate.notAfter)
  const notBefore = Math.max(base.createdAt.getTime() - backdateMs, upstream.certificate.notBefore.getTime())
  const certificate = await buildAuthorityCertificate({
    trustDomain: deps.trustDomain,
    publicKeyInfo: parseBase64(base.publicKey),
    serialNumber: deps.randomBytes(16),
    notBefore: new Date(notBefore),
    notAfter: life.expiresAt,
    signer: upstream.signer,
    issuer: createX509Authority({ certificate: upstream.certificate, signer: upstream.signer, chain: [] }),
    pathLength: 0,
  })
  return {
    ...base,
    ...life,
    id: subjectKeyId(certificate),
    certificate: formatBase64(certificate),
    upstreamChain: upstream.chain.map((above) => formatBase64(above.der)),
    upstreamRoots: upstream.roots.map((root) => formatBase64(root.der)),
  }
}

function fitBelow(base: Base, upstreamEnd: Date): Pick<Authority, 'slotSeconds' | 'expiresAt' | 'activeUntil'> {
  const { slotSeconds, expiresAt, activeUntil, createdAt } = base
  if (expiresAt <= upstreamEnd) return { slotSeconds, expiresAt, ...(activeUntil && { activeUntil }) }
  const slot = Math.floor((upstreamEnd.getTime() - createdAt.getTime()) / 3000)
  if (slot < minimumSlotSeconds)
    throw new Refusal('no_authority', `the upstream certificate ends at ${upstreamEnd.toISOString()}: replace it`)
  const end = new Date(createdAt.getTime() + slot * 1000)
  return { slotSeconds: slot, expiresAt: upstreamEnd, ...(activeUntil && { activeUntil: end }) }
}

function subjectKeyId(der: Uint8Array): string {
  const certificate = parseCertificate(der)
  return formatHex(certificate.subjectKeyId ?? createHash('sha256').update(certificate.publicKeyInfo).digest())
}
