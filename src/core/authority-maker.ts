/**
 * Makes the keys and certificates of new authorities.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { parseCertificate } from '../protocol/certificate.ts'
import { formatBase64, formatHex, parseBase64 } from '../protocol/encoding.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { thumbprintJwk } from '../protocol/jwk.ts'
import { buildSpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
import {
  buildAuthorityCertificate,
  buildX509Svid,
  createX509Authority,
  validateX509Svid,
} from '../protocol/x509-svid.ts'
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

/** @throws {Refusal} `no_authority` when the authority above can not be used */
export function createAuthorityMaker(deps: AuthorityMakerDeps) {
  return async (wanted: NewAuthority): Promise<Authority> => {
    const { startsAt, ...rest } = wanted
    const keyName = formatHex(deps.randomBytes(16))
    const { sealed, publicKey } = await deps.keys.createKey(sealedKeyName(wanted.ring, keyName), wanted.algorithm)
    const base = { ...rest, keyName, sealedKey: sealed, publicKey: formatBase64(publicKey) }
    if (wanted.ring !== 'x509') return { ...base, id: thumbprintJwk(publicKey) }
    const readUpstream = deps.upstream()
    return readUpstream ? intermediate(deps, base, startsAt, await readUpstream()) : selfSigned(deps, base)
  }
}

/** Under which name a private key is sealed. */
export function sealedKeyName(ring: string, keyName: string): string {
  return `authority/${ring}/${keyName}`
}

type Base = Omit<Authority, 'id'> & { readonly sealedKey: string; readonly keyName: string }

async function selfSigned(deps: AuthorityMakerDeps, base: Base): Promise<Authority> {
  const certificate = await buildAuthorityCertificate({
    ...certificateFields(deps, base),
    signer: await openKey(deps, base),
  })
  return { ...base, id: subjectKeyId(certificate), certificate: formatBase64(certificate) }
}

function certificateFields(deps: AuthorityMakerDeps, base: Base) {
  return {
    trustDomain: deps.trustDomain,
    publicKeyInfo: parseBase64(base.publicKey),
    serialNumber: deps.randomBytes(16),
    notBefore: new Date(base.createdAt.getTime() - backdateMs),
    notAfter: base.expiresAt,
  }
}

function openKey({ keys }: AuthorityMakerDeps, { ring, keyName, algorithm, sealedKey }: Base) {
  return keys.openKey(sealedKeyName(ring, keyName), algorithm, sealedKey)
}

async function intermediate(
  deps: AuthorityMakerDeps,
  planned: Base,
  startsAt: Date,
  upstream: UpstreamAuthority,
): Promise<Authority> {
  const base = { ...planned, ...fitBelow(planned, startsAt, upstream.certificate.notAfter) }
  try {
    const certificate = await signIntermediate(deps, base, upstream)
    await checkLeafBelow(deps, base, certificate, upstream)
    return {
      ...base,
      id: subjectKeyId(certificate),
      certificate: formatBase64(certificate),
      upstreamChain: upstream.chain.map((above) => formatBase64(above.der)),
      upstreamRoots: upstream.roots.map((root) => formatBase64(root.der)),
    }
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    const why = `nobody would accept what is signed below the upstream certificate (${cause.message})`
    throw new Refusal('no_authority', `${why}: have one made that may sign intermediates of this trust domain`, {
      cause,
    })
  }
}

function signIntermediate(deps: AuthorityMakerDeps, base: Base, { certificate, signer }: UpstreamAuthority) {
  return buildAuthorityCertificate({
    ...certificateFields(deps, base),
    issuer: createX509Authority({ certificate, signer, chain: [] }),
    pathLength: 0,
  })
}

/**
 * Signs an SVID and looks at it as peers will: path length, name constraints and purposes of everything above, and
 * whether it leads to a root, are found out here and not by them.
 */
async function checkLeafBelow(
  deps: AuthorityMakerDeps,
  base: Base,
  der: Uint8Array,
  { chain, roots }: UpstreamAuthority,
): Promise<void> {
  const authority = createX509Authority({
    certificate: parseCertificate(der),
    signer: await openKey(deps, base),
    chain: [],
  })
  const { certificate: leaf } = await buildX509Svid(authority, {
    spiffeId: buildSpiffeId(deps.trustDomain, '/apostille/server'),
    publicKeyInfo: parseBase64(base.publicKey),
    serialNumber: deps.randomBytes(16),
    now: base.createdAt,
    ttlSeconds: 1,
    dnsNames: [],
  })
  const presented = [leaf, der, ...chain.map((above) => above.der)]
  for (const purpose of ['clientAuth', 'serverAuth'] as const)
    validateX509Svid(presented, () => roots, { now: base.createdAt, purpose })
}

/** Nothing outlives its authority: an intermediate that would end after the certificate above it gets shorter slots. */
function fitBelow(
  base: Base,
  startsAt: Date,
  upstreamEnd: Date,
): Pick<Base, 'slotSeconds' | 'expiresAt' | 'activeUntil'> {
  const { slotSeconds, expiresAt, activeUntil } = base
  if (expiresAt <= upstreamEnd) return { slotSeconds, expiresAt, ...(activeUntil && { activeUntil }) }
  const slot = Math.floor((upstreamEnd.getTime() - startsAt.getTime()) / 2000)
  if (slot < minimumSlotSeconds)
    throw new Refusal('no_authority', `the upstream certificate ends at ${upstreamEnd.toISOString()}: replace it`)
  const end = new Date(startsAt.getTime() + slot * 1000)
  return { slotSeconds: slot, expiresAt: upstreamEnd, ...(activeUntil && { activeUntil: end }) }
}

function subjectKeyId(der: Uint8Array): string {
  const certificate = parseCertificate(der)
  return formatHex(certificate.subjectKeyId ?? createHash('sha256').update(certificate.publicKeyInfo).digest())
}
