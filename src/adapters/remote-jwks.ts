/**
 * The keys of one issuer: fetched by discovery, from a `jwks_uri` or a file, and kept.
 *
 * They are fresh for the `max-age` of the answer, between a minute and an hour; when the issuer is away, the last good ones
 * serve until `max_stale`. A `kid` that is not among them may mean that the issuer has new ones, so it causes a fetch ahead of
 * time: one per cool-down, which doubles while such fetches find nothing, so that made-up kids cause no flood.
 *
 * @module
 */
import type { KubernetesConfig, OidcConfig } from '../core/config-authenticators.ts'
import { quote } from '../core/quote.ts'
import { Refusal } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { type KeySet, parseKeySet, type VerificationKey } from '../protocol/key-set.ts'
import { createDoublingPause } from './doubling-pause.ts'
import { type HttpClient, UpstreamError } from './http-client.ts'
import { createIssuerKeys } from './issuer-keys.ts'
import type { FileReader } from './watched-file.ts'

export type RemoteJwksConfig = Pick<
  OidcConfig | KubernetesConfig,
  'name' | 'issuer' | 'jwks_uri' | 'jwks_file' | 'token_file' | 'max_stale'
>

export interface RemoteJwksDeps {
  readonly request: HttpClient['request']
  readonly files: FileReader
  readonly now: () => Date
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
  readonly telemetry: Telemetry
  /** Whether requests may wait for what another one fetches; not on Workers. */
  readonly shareFetches: boolean
}

/** Keys, and which version of the issuer's set they are of. */
export interface FoundKeys {
  readonly keys: readonly VerificationKey[]
  readonly version: number
}

export interface RemoteJwks {
  /**
   * Those of `kid`, or all of them; none when the issuer does not have it.
   *
   * @throws {Refusal} `upstream_failed` when there are no keys, or none that are young enough
   */
  readonly find: (kid: string | undefined) => Promise<FoundKeys>
  /** Whether {@link find} has any. @throws {Refusal} `upstream_failed` */
  readonly holds: (kid: string | undefined) => Promise<boolean>
  /** Another number whenever the keys are others, or too old to be used. */
  readonly version: () => number
  /** Keys that can be used, 0 before the first are here. */
  readonly size: () => number
  /** Since the issuer last vouched for the keys; infinite before it did. */
  readonly ageSeconds: () => number
}

interface HeldKeys {
  readonly set: KeySet
  readonly version: number
  /** When the fetch began. */
  readonly goodAtMs: number
  readonly freshUntilMs: number
}

const noVersion = 0
const maxAskedKid = 512
const askAgainMs = 120_000

export function createRemoteJwks(config: RemoteJwksConfig, deps: RemoteJwksDeps): RemoteJwks {
  const { monotonicMs, telemetry } = deps
  const fetchKeys = createIssuerKeys(config, deps)
  const failurePause = createDoublingPause({ firstMs: 5000, longestMs: 60_000 })
  const missPause = createDoublingPause({ firstMs: 30_000, longestMs: 300_000 })
  /** Kids that were asked for and not found, and until when they cause no further fetch. */
  const missing = new Map<string, number>()
  let held: HeldKeys | undefined
  let failure = 'they were never fetched'
  let running: Promise<void> | undefined

  const labels = { authenticator: config.name }

  function ageSeconds(): number {
    return held === undefined ? Number.POSITIVE_INFINITY : (monotonicMs() - held.goodAtMs) / 1000
  }

  function usable(): HeldKeys | undefined {
    return ageSeconds() <= config.max_stale ? held : undefined
  }

  function adopt(set: KeySet, goodAtMs: number, maxAgeMs: number): void {
    const same = held?.set.digest === set.digest
    if (!same) missing.clear()
    held = {
      set: same && held !== undefined ? held.set : set,
      version: same && held !== undefined ? held.version : (held?.version ?? noVersion) + 1,
      goodAtMs,
      freshUntilMs: goodAtMs + Math.min(maxAgeMs, config.max_stale * 1000),
    }
    if (!same)
      telemetry.log('info', 'the keys of an issuer changed', { ...labels, keys: set.keys.length, leftOut: set.leftOut })
  }

  async function fetchOnce(): Promise<void> {
    const startedMs = monotonicMs()
    const startedAt = deps.now()
    failurePause.begin(startedMs)
    try {
      const { text, maxAgeMs } = await fetchKeys()
      adopt(parseKeySet(text), startedMs, maxAgeMs)
      failurePause.end()
      telemetry.gauge('apostille_jwks_fetched_timestamp_seconds', startedAt.getTime() / 1000, labels)
      telemetry.count('apostille_jwks_refreshes_total', { ...labels, result: 'ok' })
    } catch (error) {
      failure = describeFailure(error)
      telemetry.count('apostille_jwks_refreshes_total', { ...labels, result: 'failed' })
      telemetry.log('warning', 'the keys of an issuer could not be fetched', { ...labels, reason: failure })
    }
  }

  /** Never rejects. */
  function refresh(): Promise<void> {
    if (!deps.shareFetches) return fetchOnce()
    running ??= fetchOnce().finally(() => {
      running = undefined
    })
    return running
  }

  async function current(): Promise<HeldKeys> {
    const now = monotonicMs()
    if (held !== undefined && now < held.freshUntilMs) return held
    if (running !== undefined || failurePause.isOver(now)) {
      // Whoever waited for an issuer that was away the last time would be slow every time that it is asked again.
      const wait = usable() === undefined || failurePause.length() === 0 || !deps.shareFetches
      const attempt = refresh()
      if (wait) await attempt
    }
    const found = usable()
    if (found !== undefined) return found
    throw new Refusal('upstream_failed', `there are no usable keys of issuer ${quote(config.issuer, 256)}: ${failure}`)
  }

  function mayAskFor(kid: string, now: number): boolean {
    return (
      kid.length <= maxAskedKid && now >= (missing.get(kid) ?? 0) && missPause.isOver(now) && failurePause.isOver(now)
    )
  }

  async function find(kid: string | undefined): Promise<FoundKeys> {
    const startedMs = monotonicMs()
    const now = await current()
    const found = select(now, kid)
    if (kid === undefined || found.keys.length > 0 || now.goodAtMs >= startedMs || !mayAskFor(kid, startedMs))
      return found

    missPause.begin(startedMs)
    await refresh()
    const again = select(await current(), kid)
    if (again.keys.length > 0) missPause.end()
    else missing.set(kid, startedMs + askAgainMs)
    return again
  }

  return {
    find,
    holds: async (kid) => (await find(kid)).keys.length > 0,
    version: () => usable()?.version ?? noVersion,
    size: () => usable()?.set.keys.length ?? 0,
    ageSeconds,
  }
}

function select({ set, version }: HeldKeys, kid: string | undefined): FoundKeys {
  return { keys: kid === undefined ? set.keys : set.keys.filter((key) => key.kid === kid), version }
}

function describeFailure(error: unknown): string {
  if (error instanceof UpstreamError) return error.message
  if (error instanceof ProtocolError) return `the answer is not as it should be (${error.message})`
  return `unexpected ${error instanceof Error ? error.name : typeof error}` // without its message, which is anybody's
}
