/**
 * Signing authorities over a store in memory, with clocks that tests set.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { createSealedKeys } from '../../src/adapters/keys/sealed.ts'
import { type Authorities, createAuthorities } from '../../src/core/authorities.ts'
import { type AuthoritySet, readAuthoritySet } from '../../src/core/authority-document.ts'
import type { Authority, AuthorityState, Ring, RingPlan } from '../../src/core/authority-plan.ts'
import { silentTelemetry, type Telemetry } from '../../src/core/telemetry.ts'
import type { ReadUpstreamAuthority } from '../../src/core/upstream.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { testNow } from './certificate-authority.ts'
import { createMemoryStore, type MemoryStore } from './memory-store.ts'
import { testSealKey } from './pooled-keys.ts'

const week = 7 * 86_400

export const testPlans: readonly RingPlan[] = [
  { ring: 'x509', algorithm: 'ES256', ttlSeconds: week },
  { ring: 'jwt/ES256', algorithm: 'ES256', ttlSeconds: week },
]

export interface TestAuthorities {
  readonly authorities: Authorities
  readonly store: MemoryStore
  /** The set as it is stored. */
  readonly stored: () => AuthoritySet
  /** The only authority of a ring in that state, as it is stored. */
  readonly one: (state: AuthorityState, ring?: Ring) => Authority
  /** What was logged. */
  readonly logged: readonly string[]
  /** Both clocks go on. */
  readonly pass: (seconds: number) => void
  now: Date
  monotonicMs: number
  issuer: string
  plans: readonly RingPlan[]
  upstream: ReadUpstreamAuthority | undefined
}

export interface TestAuthoritiesInput {
  readonly store?: MemoryStore
  readonly sealKey?: Uint8Array
  readonly plans?: readonly RingPlan[]
  readonly upstream?: ReadUpstreamAuthority
  readonly now?: Date
  /** Where measurements go. Default: nowhere. */
  readonly telemetry?: Telemetry
}

/** One process. Several share a store. */
export function createTestAuthorities(input: TestAuthoritiesInput = {}): TestAuthorities {
  const trustDomain = 'example.org'
  const { store = createMemoryStore(), sealKey = testSealKey } = input
  const logged: string[] = []
  const log: Telemetry['log'] = (_level, message, fields) => void logged.push(`${message}: ${fields?.['reason']}`)
  const stored = () => readAuthoritySet(store.backUp().get('authorities')?.body ?? '')
  const world: TestAuthorities = {
    store,
    stored,
    logged,
    now: input.now ?? testNow,
    monotonicMs: 0,
    issuer: 'https://id.example.org',
    plans: input.plans ?? testPlans,
    upstream: input.upstream,
    pass: (seconds) => {
      world.now = new Date(world.now.getTime() + seconds * 1000)
      world.monotonicMs += seconds * 1000
    },
    one: (state, ring = 'x509') => {
      const found = stored().authorities.filter((authority) => authority.ring === ring && authority.state === state)
      if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} of ${ring} are ${state}`)
      return found[0]
    },
    authorities: createAuthorities({
      store,
      keys: createSealedKeys({ sealKey, trustDomain, randomBytes }),
      trustDomain: parseTrustDomain(trustDomain),
      randomBytes,
      telemetry: { ...silentTelemetry, ...input.telemetry, log },
      publishedSeconds: () => 86_400,
      issuer: () => world.issuer,
      plans: () => world.plans,
      upstream: () => world.upstream,
      now: () => world.now,
      monotonicMs: () => world.monotonicMs,
    }),
  }
  return world
}
