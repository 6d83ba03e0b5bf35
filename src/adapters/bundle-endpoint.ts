/**
 * Reads SPIFFE bundle endpoints: one client for one poll, made by the runtime, which knows whom to trust by either profile.
 *
 * Redirects are followed within the profile: each hop is https, has no user, and is authenticated as the first was; the
 * next poll begins at the configured URL again.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md#5-bundle-endpoint SPIFFE Federation §5}
 * @module
 */
import type { BundleEndpoint, FetchBundle } from '../core/federation.ts'
import type { Certificate } from '../protocol/certificate.ts'
import { type HttpClient, type HttpClientDeps, requireSuccess, UpstreamError } from './http-client.ts'

export interface BundleReaderDeps {
  readonly open: OpenEndpoint
  /** For one poll with all its redirects; 15 s by default. */
  readonly deadlineMs?: number
  /** Calls back once after `ms`; answers what cancels it. The runtime's timer by default. */
  readonly startTimer?: (callback: () => void, ms: number) => () => void
}

/** Makes the client that asks one endpoint, and whatever it leads to. */
export type OpenEndpoint = (
  endpoint: BundleEndpoint,
  authorities: readonly Certificate[],
  bounds: Pick<HttpClientDeps, 'deadlineMs' | 'startTimer'>,
) => Promise<HttpClient>

/** Rejects with an `UpstreamError`. Nothing is kept from poll to poll, neither connections nor TLS sessions. */
export function createBundleReader(deps: BundleReaderDeps): FetchBundle {
  const { open, deadlineMs = 15_000, startTimer = startRuntimeTimer } = deps
  return async (endpoint, authorities, signal) => {
    const ending = new AbortController()
    const end = () => ending.abort()
    const cancelTimer = startTimer(end, deadlineMs)
    if (signal.aborted) end()
    signal.addEventListener('abort', end)
    const bounds = { deadlineMs, startTimer: (callback: () => void) => onEnd(ending.signal, callback) }
    try {
      const opened = open(endpoint, authorities, bounds)
      const client = await Promise.race([opened, late(ending.signal, endpoint, deadlineMs)])
      return await read(client, endpoint)
    } finally {
      signal.removeEventListener('abort', end)
      cancelTimer()
    }
  }
}

function startRuntimeTimer(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}

/** Calls back when the whole poll ends, at once if it has: what the client takes for the timer of each request. */
function onEnd(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) queueMicrotask(callback)
  signal.addEventListener('abort', callback)
  return () => signal.removeEventListener('abort', callback)
}

function late(signal: AbortSignal, { url }: BundleEndpoint, deadlineMs: number): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const message = `${new URL(url).host} did not answer within ${deadlineMs} ms`
  onEnd(signal, () => reject(new UpstreamError('timeout', message)))
  return promise
}

async function read(client: HttpClient, endpoint: BundleEndpoint): Promise<string> {
  try {
    return await follow(client, endpoint.url)
  } finally {
    await client.close()
  }
}

const maxRedirects = 4

async function follow(client: HttpClient, start: string): Promise<string> {
  let url = start
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const answer = await client.request({ url, followable: true })
    if (answer.status < 300 || answer.status > 399) return requireSuccess(answer, url).text
    url = redirectTarget(url, answer.headers.get('location'), answer.status)
  }
  throw new UpstreamError('redirect', `more than ${maxRedirects} redirects from ${new URL(start).host}`)
}

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The client refuses what is not https or names a user; here is only what a `Location` may leave out. */
function redirectTarget(from: string, location: string | null, status: number): string {
  const target = location === null ? null : URL.parse(location, from)
  if (target === null || !redirectStatuses.has(status))
    throw new UpstreamError('redirect', `${new URL(from).host} answered ${status} and names no place`, { status })
  return target.href
}
