/**
 * Which authenticator a proof belongs to, before anything of it is verified; and each proof verified once.
 *
 * @module
 */
import { createHash, hash } from 'node:crypto'
import { parseCertificate } from '../protocol/certificate.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { joinTokenPrefix } from '../protocol/join-token.ts'
import { type ParsedJwt, parseJwt } from '../protocol/jwt-svid.ts'
import { presignedIdentityPrefix } from '../protocol/presigned-identity.ts'
import { parseSpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
import type { AuthenticatedIdentity, Authentication, Authenticator, Proof, UnverifiedJwt } from './authenticate.ts'
import { Refusal } from './refusal.ts'
import { findSimilarName } from './similar-name.ts'
import type { Telemetry } from './telemetry.ts'

export interface ProofRouterDeps {
  readonly authenticators: readonly Authenticator[]
  readonly telemetry: Telemetry
  readonly now: () => Date
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
}

/** The longest that a verified proof is taken without verifying it again. */
const reuseMs = 300_000
const cacheEntries = 10_000
const maxTokenBytes = 16_384
/** What is held of a proof is claims, which take many times their bytes: heavy tokens are verified each time. */
const maxCachedTokenBytes = 4096
const maxCacheBytes = 16 * 1024 * 1024

interface CachedProof {
  readonly authentication: Authentication & { readonly reusableUntil: Date }
  readonly untilMs: number
  /** Of the proof. */
  readonly bytes: number
}

/**
 * Verifies proofs. `authenticator` narrows the choice to that name and changes nothing else. The cache lives as long
 * as this function: a reload of the configuration makes a new one.
 *
 * @throws {Refusal} `proof_rejected` for every proof that is not accepted, `upstream_failed` when one can not be checked
 */
export function createProofRouter(deps: ProofRouterDeps) {
  const cache = new Map<string, CachedProof>()
  let cacheBytes = 0
  let order = cache.entries()
  let oldest: [string, CachedProof] | undefined

  function fromCache(key: string): AuthenticatedIdentity | undefined {
    const cached = cache.get(key)
    if (cached === undefined) return undefined
    const { authentication, untilMs } = cached
    const usable =
      deps.monotonicMs() < untilMs &&
      deps.now() < authentication.reusableUntil &&
      authentication.stillHolds?.() !== false
    if (usable) return authentication.identity
    forget(key, cached)
    return undefined
  }

  function forget(key: string, { bytes }: CachedProof): void {
    if (cache.delete(key)) cacheBytes -= bytes
  }

  /** Goes on where it stopped: an iteration from the start would pass over everything that was ever deleted. */
  function findOldest(): [string, CachedProof] | undefined {
    while (oldest === undefined || cache.get(oldest[0]) !== oldest[1]) {
      const { done, value } = order.next()
      if (done && cache.size === 0) return undefined
      if (done) order = cache.entries()
      else oldest = value
    }
    return oldest
  }

  /** The oldest go first, and of those whatever is past its time as well. */
  function makeRoom(bytes: number): void {
    const nowMs = deps.monotonicMs()
    for (let next = findOldest(); next !== undefined; next = findOldest()) {
      const full = cache.size >= cacheEntries || cacheBytes + bytes > maxCacheBytes
      if (!full && nowMs < next[1].untilMs) return
      forget(...next)
    }
  }

  function remember(key: string, proof: Proof, authentication: Authentication): void {
    const { reusableUntil } = authentication
    const bytes = bytesOf(proof)
    if (reusableUntil === undefined || (proof.kind === 'bearer' && bytes > maxCachedTokenBytes)) return
    // Two requests may have verified it at the same time.
    const replaced = cache.get(key)
    if (replaced) forget(key, replaced)
    makeRoom(bytes)
    cacheBytes += bytes
    const lastsMs = Math.min(reuseMs, reusableUntil.getTime() - deps.now().getTime())
    const untilMs = deps.monotonicMs() + lastsMs
    cache.set(key, { authentication: { ...authentication, reusableUntil }, untilMs, bytes })
  }

  /** At once where nobody has to be asked. */
  function verify(proof: Proof, narrowed: string | undefined, { key, digest }: Names) {
    const named = chooseNamed(deps.authenticators, narrowed)
    const jwt = readJwt(proof)
    const done = (authentication: Authentication) => {
      const identity = { ...authentication.identity, fingerprint: fingerprintProof(proof, digest) }
      remember(key, proof, { ...authentication, identity })
      return identity
    }
    const begin = (candidates: readonly Authenticator[]) => {
      const authentication = requireOne(candidates, narrowed).authenticate(proof, deps.now(), jwt)
      return authentication instanceof Promise ? authentication.then(done) : done(authentication)
    }
    const candidates = candidatesFor({ all: deps.authenticators, named }, proof, jwt)
    return candidates instanceof Promise ? candidates.then(begin) : begin(candidates)
  }

  return (proof: Proof | undefined, narrowed?: string): AuthenticatedIdentity | Promise<AuthenticatedIdentity> => {
    if (proof === undefined) throw new Refusal('proof_rejected', 'the request carries no proof')
    if (proof.kind === 'bearer' && proof.token.length > maxTokenBytes)
      throw new Refusal('proof_rejected', `the token is longer than ${maxTokenBytes} bytes`)
    const digest = digestProof(proof)
    const key = `${proof.kind} ${digest} ${narrowed ?? ''}`
    const known = fromCache(key)
    deps.telemetry.count('apostille_proof_cache_lookups_total', known ? hit : miss)
    return known ?? verify(proof, narrowed, { key, digest })
  }
}

const hit = { result: 'hit' }
const miss = { result: 'miss' }

function bytesOf(proof: Proof): number {
  return proof.kind === 'bearer' ? proof.token.length : proof.chain.reduce((sum, { length }) => sum + length, 0)
}

interface Names {
  /** Of the proof in the cache. */
  readonly key: string
  readonly digest: string
}

/** It stands for the proof, so that no token is kept. */
function digestProof(proof: Proof): string {
  if (proof.kind === 'bearer') return hash('sha256', proof.token, 'hex')
  const digest = createHash('sha256')
  for (const certificate of proof.chain) digest.update(certificate)
  return digest.digest('hex')
}

/** For records: names a proof without giving it away. @param digest Of {@link digestProof}, where it is at hand. */
export function fingerprintProof(proof: Proof, digest?: string): string {
  const whole = proof.kind === 'bearer' ? (digest ?? digestProof(proof)) : hash('sha256', proof.chain[0] ?? '', 'hex')
  return whole.slice(0, 16)
}

function chooseNamed(all: readonly Authenticator[], narrowed: string | undefined): readonly Authenticator[] {
  if (narrowed === undefined) return all
  const named = all.filter((authenticator) => authenticator.name === narrowed)
  if (named.length === 0) throw new Refusal('proof_rejected', describeUnknown(all, narrowed))
  return named
}

function requireOne(candidates: readonly Authenticator[], narrowed: string | undefined): Authenticator {
  const [only, second] = candidates
  if (only === undefined) {
    const alone = narrowed === undefined ? '' : ` (the request asks for ${narrowed} alone)`
    throw new Refusal('proof_rejected', `no authenticator takes this kind of proof or its issuer${alone}`)
  }
  if (second === undefined) return only
  throw new Refusal(
    'proof_rejected',
    `more than one authenticator takes this proof (${candidates.map(({ name }) => name).join(', ')}): give them different audiences`,
  )
}

/** Without the name itself, as anything may stand in that header, a token too. */
function describeUnknown(all: readonly Authenticator[], narrowed: string): string {
  const names = all.map(({ name }) => name)
  const similar = findSimilarName(narrowed.slice(0, 64), names)
  const known = similar === undefined ? `there are ${names.join(', ')}` : `near to ${similar}, which there is`
  return `the request asks for an authenticator that is not in the configuration: ${known}`
}

/** A name narrows what the proof itself says, and never sends a JWT-SVID to whoever else has its issuer. */
function candidatesFor(
  { all, named }: { readonly all: readonly Authenticator[]; readonly named: readonly Authenticator[] },
  proof: Proof,
  parsed: ParsedJwt | undefined,
): readonly Authenticator[] | Promise<readonly Authenticator[]> {
  if (proof.kind === 'certificate') return ofTrustDomain(named, readCertificateTrustDomain(proof.chain[0]))
  if (proof.token.startsWith(joinTokenPrefix)) return ownersAmong(named, 'joinTokens', proof)
  if (parsed === undefined) return ownersAmong(named, 'awsIdentities', proof)
  const jwt = readUnverified(parsed)
  const trustDomain = trustDomainOf(jwt.subject)
  const isSvid = trustDomain !== undefined && ofTrustDomain(all, trustDomain).length > 0
  return isSvid ? ofTrustDomain(named, trustDomain) : ofIssuer(named, jwt)
}

function ofTrustDomain(
  named: readonly Authenticator[],
  trustDomain: TrustDomain | undefined,
): readonly Authenticator[] {
  return named.filter(({ accepts }) => 'trustDomain' in accepts && accepts.trustDomain === trustDomain)
}

/** Authenticators of one issuer are told apart by the audience, and if that is not enough by whose keys hold the `kid`. */
async function ofIssuer(named: readonly Authenticator[], jwt: UnverifiedJwt): Promise<readonly Authenticator[]> {
  const sameIssuer = named.filter(({ accepts }) => 'issuer' in accepts && accepts.issuer === jwt.issuer)
  if (sameIssuer.length < 2) return sameIssuer
  const sameAudience = sameIssuer.filter(
    ({ accepts }) => 'audience' in accepts && jwt.audience.includes(accepts.audience),
  )
  if (sameAudience.length < 2) return sameAudience
  return holdersOfKey(sameAudience, jwt.kid)
}

/** One whose keys can not be had does not stand in the way of one that holds the key. */
async function holdersOfKey(
  candidates: readonly Authenticator[],
  kid: string | undefined,
): Promise<readonly Authenticator[]> {
  const answers = await Promise.allSettled(
    candidates.map(async (authenticator) => authenticator.holdsKey?.(kid) ?? false),
  )
  const holders = candidates.filter((_, index) => {
    const answer = answers[index]
    return answer?.status === 'fulfilled' && answer.value
  })
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (holders.length === 0 && failed) throw failed.reason
  return holders
}

/** Where one alone takes such proofs it says itself what is wrong with one. */
async function ownersAmong(
  named: readonly Authenticator[],
  kind: 'joinTokens' | 'awsIdentities',
  proof: Proof,
): Promise<readonly Authenticator[]> {
  const takers = named.filter(({ accepts }) => kind in accepts)
  if (takers.length < 2) return takers
  const owns = await Promise.all(takers.map((authenticator) => authenticator.owns?.(proof) ?? false))
  return takers.filter((_, index) => owns[index])
}

/** Undefined for a proof of another kind. */
function readJwt(proof: Proof): ParsedJwt | undefined {
  if (proof.kind === 'certificate') return undefined
  const { token } = proof
  if (token.startsWith(joinTokenPrefix) || token.startsWith(presignedIdentityPrefix)) return undefined
  try {
    return parseJwt(token)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    // What is wrong with the JSON inside is in the cause.
    const why = cause.cause instanceof ProtocolError ? `${cause.message}: ${cause.cause.detail}` : cause.message
    throw new Refusal('proof_rejected', `the bearer token is no compact JWT (${why})`, { cause })
  }
}

function readUnverified({ jws, claims }: ParsedJwt): UnverifiedJwt {
  const { kid } = jws.header
  const { iss, sub, aud } = claims
  return {
    audience: typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud.filter((one) => typeof one === 'string') : [],
    ...(typeof iss === 'string' && { issuer: iss }),
    ...(typeof sub === 'string' && { subject: sub }),
    ...(typeof kid === 'string' && { kid }),
  }
}

function trustDomainOf(id: string | undefined): TrustDomain | undefined {
  if (id === undefined || !id.startsWith('spiffe://')) return undefined
  try {
    return parseSpiffeId(id).trustDomain
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new Refusal('proof_rejected', `the subject is no SPIFFE ID (${cause.message})`, { cause })
  }
}

function readCertificateTrustDomain(der: Uint8Array | undefined): TrustDomain | undefined {
  try {
    const uris = parseCertificate(der ?? new Uint8Array()).subjectAltName?.uris ?? []
    return trustDomainOf(uris.length === 1 ? uris[0] : undefined)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new Refusal('proof_rejected', `the client certificate can not be read (${cause.message})`, { cause })
  }
}
