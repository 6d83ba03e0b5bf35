/**
 * A simulated world: gateways with clocks of their own over one store, and verifiers that hold copies of what they
 * fetched. Every SVID is verified by every verifier when it is issued, whenever that verifier holds another copy, and
 * just before it expires.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { type Authorities, createAuthorities } from '../../src/core/authorities.ts'
import { type AuthoritySet, readAuthoritySet } from '../../src/core/authority-document.ts'
import type { RingPlan } from '../../src/core/authority-plan.ts'
import type { AuthoritySnapshot } from '../../src/core/authority-snapshot.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import type { SignatureAlgorithm } from '../../src/protocol/algorithms.ts'
import { type Certificate, parseCertificate } from '../../src/protocol/certificate.ts'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { parseJwk } from '../../src/protocol/jwk.ts'
import { type JwtAuthorityKey, validateJwtSvid } from '../../src/protocol/jwt-svid.ts'
import { parseSpiffeId, parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { parseTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { buildX509Svid, validateX509Svid } from '../../src/protocol/x509-svid.ts'
import { makeTestKey } from './certificate-authority.ts'
import { createMemoryStore } from './memory-store.ts'
import { createPooledKeys } from './pooled-keys.ts'

export interface WorldOptions {
  readonly plans: readonly RingPlan[]
  /** By how much the clock of each gateway is off. */
  readonly offsetsMs?: readonly number[]
  readonly verifiers: number
  readonly issueEveryMs: number
  readonly seed: number
}

interface Gateway {
  authorities: Authorities
  offsetMs: number
  isDown: boolean
  refreshedAtMs: number
}

/** What a verifier knows of us. */
interface Copy {
  readonly name: string
  readonly jwtKeys: readonly JwtAuthorityKey[]
  /** Undefined in a copy of the key set. */
  readonly roots?: readonly Certificate[]
  readonly sequence: bigint
}

interface Verifier {
  readonly reads: 'bundle' | 'keys'
  copy?: Copy
  pollMs: number
}

interface Happening {
  readonly atMs: number
  readonly run: () => void | Promise<void>
}

interface TestSvid {
  readonly name: string
  readonly authorityId: string
  readonly kind: 'x509' | 'jwt'
  readonly fromMs: number
  readonly untilMs: number
  readonly verify: (copy: Copy, now: Date) => void
}

export interface Rejection {
  readonly svid: string
  readonly authorityId: string
  readonly atMs: number
  readonly reason: string
}

const trustDomain = parseTrustDomain('example.org')
const spiffeId = parseSpiffeId('spiffe://example.org/web')
const workloadKey = makeTestKey()
const startMs = Date.parse('2026-03-01T00:00:00Z')
const staleMs = 5_000

/** Numbers from 0 to 1, the same for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export type World = Awaited<ReturnType<typeof createWorld>>

export async function createWorld(options: WorldOptions) {
  const random = createRandom(options.seed)
  const store = createMemoryStore()
  const keys = createPooledKeys()
  let nowMs = startMs
  let { plans } = options
  const gateways = (options.offsetsMs ?? [0]).map((offsetMs): Gateway => {
    const gateway = { offsetMs, isDown: false, refreshedAtMs: Number.NEGATIVE_INFINITY } as Gateway
    gateway.authorities = start(gateway)
    return gateway
  })
  const verifiers = Array.from({ length: options.verifiers }, (_, index): Verifier => {
    return { reads: index % 2 === 0 ? 'bundle' : 'keys', pollMs: 1000 }
  })
  const live = new Set<TestSvid>()
  const agenda: Happening[] = []
  const verdicts = new Map<string, string>()
  const copies = new Map<string, Copy>()
  const rejections: Rejection[] = []
  let { issueEveryMs } = options
  let issued = 0
  let unissued = 0

  function start(gateway: Gateway): Authorities {
    return createAuthorities({
      store,
      keys,
      trustDomain,
      randomBytes,
      telemetry: silentTelemetry,
      publishedSeconds: () => 86_400,
      issuer: () => 'https://id.example.org',
      plans: () => plans,
      upstream: () => undefined,
      now: () => new Date(nowMs + gateway.offsetMs),
      monotonicMs: () => nowMs,
    })
  }

  /** As the clockwork does every 5 seconds, whenever somebody looks. */
  async function snapshotOf(gateway: Gateway): Promise<AuthoritySnapshot> {
    if (nowMs - gateway.refreshedAtMs > random() * staleMs) {
      await gateway.authorities.refresh()
      gateway.refreshedAtMs = nowMs
    }
    return gateway.authorities.current()
  }

  function someGateway(): Gateway | undefined {
    const up = gateways.filter(({ isDown }) => !isDown)
    return up[Math.floor(random() * up.length)]
  }

  async function issue(): Promise<void> {
    const gateway = someGateway()
    if (gateway === undefined) return
    const snapshot = await snapshotOf(gateway)
    const now = new Date(nowMs + gateway.offsetMs)
    const algorithms = plans.filter(({ ring }) => ring !== 'x509').map(({ algorithm }) => algorithm)
    for (const make of [() => issueX509(snapshot, now), ...algorithms.map((one) => () => issueJwt(snapshot, one, now))])
      await make().then(admit, (error: unknown) => {
        if (!(error instanceof Refusal) || error.code !== 'no_authority') throw error
        unissued++
      })
  }

  async function issueX509(snapshot: AuthoritySnapshot, now: Date): Promise<TestSvid> {
    const active = snapshot.x509()
    const { certificate, notBefore, expiresAt } = await buildX509Svid(active.authority, {
      spiffeId,
      publicKeyInfo: workloadKey.publicKeyInfo,
      serialNumber: randomBytes(16),
      now,
      ttlSeconds: active.slotSeconds,
      dnsNames: [],
    })
    return {
      ...{ name: `x509 ${issued++}`, kind: 'x509', authorityId: active.id },
      ...{ fromMs: notBefore.getTime(), untilMs: expiresAt.getTime() },
      verify: ({ roots = [] }, at) => void validateX509Svid([certificate], () => roots, { now: at }),
    }
  }

  async function issueJwt(snapshot: AuthoritySnapshot, algorithm: SignatureAlgorithm, now: Date): Promise<TestSvid> {
    const active = snapshot.jwt(algorithm)
    const { token, expiresAt } = await active.svids.issue({
      ...{ spiffeId, audience: ['a'], now, ttlSeconds: active.slotSeconds },
      ...{ notAfter: active.expiresAt, jti: String(issued), claims: {} },
    })
    return {
      ...{ name: `${active.algorithm} ${issued++}`, kind: 'jwt', authorityId: active.id },
      ...{ fromMs: now.getTime() - 30_000, untilMs: expiresAt.getTime() },
      verify: ({ jwtKeys }, at) => void validateJwtSvid(token, { keys: () => jwtKeys, now: at, leewaySeconds: 0 }),
    }
  }

  function admit(svid: TestSvid): void {
    if (svid.untilMs - 2000 <= nowMs) return
    plan(Math.max(nowMs, svid.fromMs), () => begin(svid))
    plan(svid.untilMs - 1000, () => end(svid))
  }

  function begin(svid: TestSvid): void {
    live.add(svid)
    for (const verifier of verifiers) check(svid, verifier, '')
  }

  function end(svid: TestSvid): void {
    live.delete(svid)
    for (const verifier of verifiers) check(svid, verifier, ' at its end')
  }

  /** The same SVID and the same copy give the same verdict, whoever holds it. */
  function check(svid: TestSvid, { copy }: Verifier, when: string): void {
    if (copy === undefined || (svid.kind === 'x509' && copy.roots === undefined)) return
    const key = `${svid.name} ${copy.name}${when}`
    const verdict = verdicts.get(key) ?? judge(svid, copy)
    verdicts.set(key, verdict)
    if (verdict !== '')
      rejections.push({ svid: svid.name, authorityId: svid.authorityId, atMs: nowMs, reason: verdict })
  }

  function judge(svid: TestSvid, copy: Copy): string {
    try {
      svid.verify(copy, new Date(nowMs))
      return ''
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      return error.message
    }
  }

  async function poll(verifier: Verifier): Promise<void> {
    const gateway = someGateway()
    if (gateway !== undefined) await fetchFrom(gateway, verifier)
    plan(nowMs + verifier.pollMs, () => poll(verifier))
  }

  async function fetchFrom(gateway: Gateway, verifier: Verifier): Promise<void> {
    const { documents, refreshHintSeconds } = await snapshotOf(gateway)
    verifier.pollMs = (verifier.reads === 'bundle' ? refreshHintSeconds : documents.keys.maxAgeSeconds) * 1000
    const document = documents[verifier.reads]
    const name = `${verifier.reads} ${document.etag}`
    if (verifier.copy?.name === name) return
    const copy = copies.get(name) ?? readCopy(name, verifier.reads, Buffer.from(document.body).toString())
    copies.set(name, copy)
    // Federation §4.2: an older bundle does not replace a newer one.
    if (copy.sequence < (verifier.copy?.sequence ?? 0n)) return
    verifier.copy = copy
    for (const svid of live) check(svid, verifier, '')
  }

  /** Sorted, the next one last. */
  function plan(atMs: number, run: Happening['run']): void {
    let [low, high] = [0, agenda.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((agenda[middle]?.atMs ?? 0) > atMs) low = middle + 1
      else high = middle
    }
    agenda.splice(low, 0, { atMs, run })
  }

  async function issueNow(): Promise<void> {
    await issue()
    plan(nowMs + random() * 2 * issueEveryMs, issueNow)
  }

  plan(startMs, issueNow)
  for (const verifier of verifiers) plan(startMs + random() * 10_000, () => poll(verifier))

  return {
    store,
    rejections,
    gateways,
    verifiers,
    counts: () => ({ issued, unissued }),
    nowMs: () => nowMs,
    /** Time goes on, and with it everything that happens. */
    async run(seconds: number): Promise<void> {
      const untilMs = nowMs + seconds * 1000
      while ((agenda.at(-1)?.atMs ?? untilMs) < untilMs) {
        const next = agenda.pop()
        nowMs = Math.max(nowMs, next?.atMs ?? 0)
        await next?.run()
      }
      nowMs = untilMs
    },
    issueEvery: (seconds: number) => {
      issueEveryMs = seconds * 1000
    },
    changePlans: (changed: readonly RingPlan[]) => {
      plans = changed
    },
    stop: () => {
      for (const gateway of gateways) gateway.isDown = true
    },
    /** New processes over the same store. */
    restart: () => {
      for (const gateway of gateways) {
        gateway.isDown = false
        gateway.authorities = start(gateway)
        gateway.refreshedAtMs = Number.NEGATIVE_INFINITY
      }
    },
    /** Every set that was ever written. */
    sets: (): readonly AuthoritySet[] => store.written('authorities').map(readAuthoritySet),
  }
}

function readCopy(name: string, reads: Verifier['reads'], text: string): Copy {
  if (reads === 'keys') {
    const { keys } = JSON.parse(text) as { readonly keys: readonly unknown[] }
    const jwtKeys = keys.map(parseJwk).map(({ kid = '', key }): JwtAuthorityKey => ({ kid, key }))
    return { name, jwtKeys, sequence: 0n }
  }
  const bundle = parseTrustBundle(trustDomain, text)
  const roots = bundle.x509Authorities.map((der) => parseCertificate(der))
  return { name, jwtKeys: bundle.jwtAuthorities, roots, sequence: bundle.sequence ?? 0n }
}

/** Authorities that signed at once because there was no other, the very first aside. */
export function emergencies(sets: readonly AuthoritySet[]): ReadonlySet<string> {
  const known = new Set(sets[0]?.authorities.map(({ id }) => id))
  const sudden = new Set<string>()
  for (const { authorities } of sets) {
    for (const { id, state } of authorities) if (!known.has(id) && state === 'active') sudden.add(id)
    for (const { id } of authorities) known.add(id)
  }
  return sudden
}
