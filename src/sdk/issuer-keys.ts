/**
 * The keys of an issuer, found by discovery and kept: what verifies JWT-SVIDs where there is no bundle at hand.
 *
 * They are fresh for the `max-age` of the answer, between a minute and an hour. A `kid` that is not among them may mean that
 * the issuer has new ones, so it causes a fetch ahead of time, one per cool-down. While the issuer is away, the last good
 * ones serve for a day; where there are none, it is asked again after 5 seconds.
 *
 * @see {@link https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig OpenID Connect Discovery §4}
 * @module
 */
import { ProtocolError } from '../protocol/errors.ts'
import { parseStrictJson } from '../protocol/json.ts'
import { parseJwk } from '../protocol/jwk.ts'
import type { JwtAuthorityKey } from '../protocol/jwt-svid.ts'
import { parseKeySet } from '../protocol/key-set.ts'
import { parseDiscoveryDocument, parseIssuer } from '../protocol/oidc-discovery.ts'
import { parseTrustDomain } from '../protocol/spiffe-id.ts'
import { ApostilleError } from './apostille-error.ts'
import { type Ask, createAsk, type Fetch } from './ask.ts'
import type { JoinEqual } from './fresh.ts'
import type { JwtKeySource } from './verify-jwt-svid.ts'

export interface IssuerKeysOptions {
  /** `iss` of the tokens, to the letter, such as `https://id.example.org`. */
  readonly issuer: string
  /** The only one whose names the issuer vouches for, such as `example.org`. */
  readonly trustDomain: string
  /** Default: the runtime's. */
  readonly fetch?: Fetch
  /** For one document, all attempts together; default: 10,000. */
  readonly deadlineMs?: number
  /** Default: the clock of the runtime. */
  readonly now?: () => Date
  /** By default equal fetches at the same time are not joined; `apostille/node` joins them. */
  readonly join?: JoinEqual
}

interface HeldKeys {
  readonly keys: readonly JwtAuthorityKey[]
  readonly fetchedAtMs: number
  readonly freshUntilMs: number
}

const coolDownMs = 30_000
const failurePauseMs = 5_000
const maxStaleMs = 24 * 3_600_000

/**
 * Make one and keep it, as it holds the cache. Nothing is fetched before the first token.
 *
 * @throws {ProtocolError} `oidc_discovery`, `trust_domain_name`
 */
export function createIssuerKeys(options: IssuerKeysOptions): JwtKeySource {
  const issuer = parseIssuer(options.issuer)
  const trustDomain = parseTrustDomain(options.trustDomain)
  const { now = () => new Date(), join = (_key, run) => run() } = options
  const fetchKeys = createKeyFetcher(issuer, options)
  let held: HeldKeys | undefined
  let failure: unknown
  let askAgainAtMs = 0

  async function refresh(): Promise<HeldKeys> {
    const startedMs = now().getTime()
    askAgainAtMs = startedMs + failurePauseMs
    const { keys, maxAgeMs } = await fetchKeys().catch((error: unknown) => {
      failure = error
      throw error
    })
    failure = undefined
    askAgainAtMs = startedMs + coolDownMs
    held = { keys, fetchedAtMs: startedMs, freshUntilMs: startedMs + maxAgeMs }
    return held
  }

  /** The last good ones serve instead of a failure. */
  async function refreshOrHeld(): Promise<HeldKeys> {
    try {
      return await join('keys', refresh)
    } catch (error) {
      if (held !== undefined && now().getTime() - held.fetchedAtMs < maxStaleMs) return held
      throw error
    }
  }

  async function current(): Promise<HeldKeys> {
    const nowMs = now().getTime()
    const isUsable = held !== undefined && nowMs - held.fetchedAtMs < maxStaleMs
    if (isUsable && held && (nowMs < held.freshUntilMs || nowMs < askAgainAtMs)) return held
    // Otherwise each token, of whomever, would ask an issuer that is away.
    if (!isUsable && failure !== undefined && nowMs < askAgainAtMs) throw failure
    return refreshOrHeld()
  }

  return {
    issuer,
    async find(asked, kid) {
      if (asked !== trustDomain) return []
      const { keys } = await current()
      const isKnown = kid === undefined || keys.some((key) => key.kid === kid)
      if (isKnown || now().getTime() < askAgainAtMs) return keys
      return (await refreshOrHeld()).keys
    },
  }
}

interface FetchedKeys {
  readonly keys: readonly JwtAuthorityKey[]
  readonly maxAgeMs: number
}

function createKeyFetcher(issuer: string, { fetch, deadlineMs = 10_000 }: IssuerKeysOptions) {
  const askOf = (url: URL): Ask => createAsk({ server: url.origin, deadlineMs, ...(fetch !== undefined && { fetch }) })
  const get = (url: URL) => askOf(url)({ path: `${url.pathname}${url.search}`, isPublic: true })

  return async (): Promise<FetchedKeys> => {
    const discovery = await get(new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)) // §4.1
    try {
      const { jwksUri } = parseDiscoveryDocument(parseStrictJson(discovery.text), issuer)
      const { text, headers } = await get(new URL(jwksUri))
      return { keys: namedKeys(text), maxAgeMs: readMaxAgeMs(headers) }
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause
      throw new ApostilleError(`what ${issuer} publishes is not as it should be (${cause.message})`, {
        code: 'unexpected_answer',
        cause,
      })
    }
  }
}

/** JWT-SVID §6.1: `kid` is set. */
function namedKeys(text: string): readonly JwtAuthorityKey[] {
  return parseKeySet(text).keys.flatMap(({ kid, jwk }) => (kid === undefined ? [] : [{ kid, key: parseJwk(jwk).key }]))
}

const shortestMaxAgeMs = 60_000
const longestMaxAgeMs = 3_600_000
const usualMaxAgeMs = 300_000

/** RFC 9111 §5.2.2; 5 minutes where the answer does not say. */
function readMaxAgeMs(headers: Headers): number {
  const seconds = /(?:^|[\s,])max-age="?(\d{1,10})/i.exec(headers.get('cache-control') ?? '')?.[1]
  if (seconds === undefined) return usualMaxAgeMs
  return Math.min(Math.max(Number(seconds) * 1000, shortestMaxAgeMs), longestMaxAgeMs)
}
