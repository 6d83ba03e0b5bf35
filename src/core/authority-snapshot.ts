/**
 * The set of authorities made ready for use: open signers, the keys that verify our own SVIDs, the published documents.
 * One snapshot is one version of the set and never changes.
 *
 * @module
 */
import { createPublicKey } from 'node:crypto'
import type { SignatureAlgorithm } from '../protocol/algorithms.ts'
import { type Certificate, parseCertificate } from '../protocol/certificate.ts'
import { parseBase64 } from '../protocol/encoding.ts'
import { createJwtSvidSigner, type JwtAuthorityKey } from '../protocol/jwt-svid.ts'
import type { Signer } from '../protocol/signer.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { createX509Authority, type X509Authority } from '../protocol/x509-svid.ts'
import type { AuthoritySet } from './authority-document.ts'
import { sealedKeyName } from './authority-maker.ts'
import { type Authority, refreshHintSeconds } from './authority-plan.ts'
import type { KeyManager } from './key-manager.ts'
import { buildPublishedDocuments, type PublishedDocuments } from './published-documents.ts'
import { Refusal } from './refusal.ts'

/** An authority that signs X.509-SVIDs now. */
export interface ActiveX509Authority {
  readonly id: string
  readonly authority: X509Authority
  /** Sent after the leaf: our own certificate when it is an intermediate, and those above it; DER. */
  readonly chain: readonly Uint8Array[]
  /** The longest TTL of what it signs. */
  readonly slotSeconds: number
  readonly expiresAt: Date
}

/** An authority that signs JWT-SVIDs now. */
export interface ActiveJwtAuthority {
  readonly id: string
  readonly algorithm: SignatureAlgorithm
  readonly svids: ReturnType<typeof createJwtSvidSigner>
  readonly slotSeconds: number
  readonly expiresAt: Date
}

export interface AuthoritySnapshot {
  readonly version: number
  readonly issuer: string
  readonly sequence: number
  readonly refreshHintSeconds: number
  /** @throws {Refusal} `no_authority` */
  readonly x509: () => ActiveX509Authority
  /**
   * One of another algorithm that the configuration had before, where `algorithm` was added and verifiers do not know
   * it yet; never in the place of RS256, which is for those who take nothing else.
   *
   * @throws {Refusal} `no_authority`
   */
  readonly jwt: (algorithm: SignatureAlgorithm) => ActiveJwtAuthority
  /** Keys that vouch for JWT-SVIDs of ours: of everything published and not tainted. */
  readonly jwtKeys: readonly JwtAuthorityKey[]
  /** Certificates that sign our X.509-SVIDs and are not tainted. */
  readonly x509Issuers: readonly Certificate[]
  /** Published but tainted: they vouch for nothing, and say why a proof is refused. */
  readonly tainted: {
    readonly jwtKeys: readonly JwtAuthorityKey[]
    readonly x509Issuers: readonly Certificate[]
  }
  readonly documents: PublishedDocuments
}

interface SnapshotDeps {
  readonly keys: KeyManager
  readonly trustDomain: TrustDomain
}

/** Keeps the signers that it opened, as opening costs a decryption and a trial signature each. */
export function createSnapshotOpener(deps: SnapshotDeps) {
  let opened: ReadonlyMap<string, Signer> = new Map()

  return async (set: AuthoritySet, version: number, issuer: string): Promise<AuthoritySnapshot> => {
    const active = set.authorities.filter((authority) => authority.state === 'active')
    const signers = new Map<string, Signer>()
    // The prepared ones too: a key that does not open is found out while there is time.
    for (const authority of set.authorities.filter(({ sealedKey }) => sealedKey !== undefined))
      signers.set(authority.id, opened.get(authority.id) ?? (await openSigner(deps, authority)))
    opened = signers

    const x509 = active
      .filter((authority) => authority.ring === 'x509')
      .map((authority) => openX509(authority, signers))[0]
    const jwt = new Map(
      active
        .filter((authority) => authority.ring !== 'x509')
        .map((authority) => [authority.algorithm, openJwt(authority, signers, issuer)]),
    )
    const hint = refreshHintSeconds(set.authorities.map((authority) => authority.slotSeconds))
    return {
      version,
      issuer,
      sequence: set.sequence,
      refreshHintSeconds: hint,
      x509: () => x509 ?? noAuthority('X.509'),
      jwt: (algorithm) => jwt.get(algorithm) ?? standIn(jwt, algorithm) ?? noAuthority(algorithm),
      ...verifiersOf(set.authorities.filter(vouches)),
      tainted: verifiersOf(set.authorities.filter((authority) => !vouches(authority))),
      documents: buildPublishedDocuments({ set, trustDomain: deps.trustDomain, issuer, refreshHintSeconds: hint }),
    }
  }
}

function verifiersOf(authorities: readonly Authority[]): AuthoritySnapshot['tainted'] {
  return {
    jwtKeys: authorities.filter(({ ring }) => ring !== 'x509').map(jwtKey),
    x509Issuers: authorities.flatMap(({ certificate }) =>
      certificate === undefined ? [] : [parseCertificate(parseBase64(certificate))],
    ),
  }
}

function standIn(active: ReadonlyMap<SignatureAlgorithm, ActiveJwtAuthority>, missing: SignatureAlgorithm) {
  if (missing === 'RS256') return undefined
  return [...active.values()].find(({ algorithm }) => algorithm !== 'RS256') ?? active.get('RS256')
}

function vouches(authority: Authority): boolean {
  return authority.taintedAt === undefined
}

function noAuthority(kind: string): never {
  throw new Refusal('no_authority', `no ${kind} authority is active`, { retryAfterSeconds: 5 })
}

async function openSigner(deps: SnapshotDeps, authority: Authority): Promise<Signer> {
  const name = sealedKeyName(authority.ring, authority.keyName)
  return deps.keys.openKey(name, authority.algorithm, authority.sealedKey ?? '')
}

function openX509(authority: Authority, signers: ReadonlyMap<string, Signer>): ActiveX509Authority {
  const certificate = parseCertificate(parseBase64(authority.certificate ?? ''))
  const upstream = (authority.upstreamChain ?? []).map((der) => parseBase64(der))
  const chain = authority.upstreamRoots === undefined ? [] : [certificate.der, ...upstream]
  const signer = signers.get(authority.id) ?? noAuthority('X.509')
  return {
    id: authority.id,
    authority: createX509Authority({ certificate, signer, chain: [] }),
    chain,
    slotSeconds: authority.slotSeconds,
    expiresAt: authority.expiresAt,
  }
}

function openJwt(authority: Authority, signers: ReadonlyMap<string, Signer>, issuer: string): ActiveJwtAuthority {
  const signer = signers.get(authority.id) ?? noAuthority(authority.algorithm)
  return {
    id: authority.id,
    algorithm: authority.algorithm,
    svids: createJwtSvidSigner({ signer, kid: authority.id, issuer }),
    slotSeconds: authority.slotSeconds,
    expiresAt: authority.expiresAt,
  }
}

function jwtKey(authority: Authority): JwtAuthorityKey {
  const key = createPublicKey({ key: parseBase64(authority.publicKey), format: 'der', type: 'spki' })
  return { kid: authority.id, key, algorithm: authority.algorithm }
}
