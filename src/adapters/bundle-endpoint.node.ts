/**
 * Reads SPIFFE bundle endpoints, by either profile.
 *
 * `https_web` trusts the roots that come with Node, or a file; `https_spiffe` trusts the server that shows the X.509-SVID
 * of the configured ID, whatever the host is called. Redirects are followed within the profile: each hop is https, has
 * no user, and is authenticated as the first was; the next poll begins at the configured URL again.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md#5-bundle-endpoint SPIFFE Federation §5}
 * @module
 */
import type { BundleEndpoint, FetchBundle } from '../core/federation.ts'
import type { Certificate } from '../protocol/certificate.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { SpiffeId } from '../protocol/spiffe-id.ts'
import { maxTrustBundleBytes } from '../protocol/trust-bundle.ts'
import { validateX509Svid } from '../protocol/x509-svid.ts'
import { createAddressRule } from './connect-upstream.node.ts'
import { createFileReader } from './file-reader.node.ts'
import { createHttpClient, type HttpClient, requireSuccess, UpstreamError } from './http-client.ts'
import { createHttpsFetch } from './https-fetch.node.ts'

export interface BundleEndpointDeps {
  readonly now: () => Date
  /** For one poll with all its redirects; 15 s by default. */
  readonly deadlineMs?: number
  /** Calls back once after `ms`; answers what cancels it. The runtime's timer by default. */
  readonly startTimer?: (callback: () => void, ms: number) => () => void
}

/** Rejects with an `UpstreamError`. Nothing is kept from poll to poll, neither connections nor TLS sessions. */
export function createFetchBundle(deps: BundleEndpointDeps): FetchBundle {
  const { now, deadlineMs = 15_000, startTimer = startRuntimeTimer } = deps
  return async (endpoint, authorities, signal) => {
    const ending = new AbortController()
    const end = () => ending.abort()
    const cancelTimer = startTimer(end, deadlineMs)
    if (signal.aborted) end()
    signal.addEventListener('abort', end)
    try {
      const trust = await Promise.race([trustOf(endpoint, authorities, now), late(ending.signal, endpoint, deadlineMs)])
      return await read(endpoint, trust, { ending: ending.signal, deadlineMs })
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

type Trust = Pick<Parameters<typeof createHttpsFetch>[0], 'ca' | 'verifyPeer'>

async function trustOf(endpoint: BundleEndpoint, authorities: readonly Certificate[], now: () => Date): Promise<Trust> {
  if (endpoint.profile === 'https_spiffe')
    return { verifyPeer: (chain) => requireSpiffeId(chain, endpoint.spiffeId, authorities, now()) }
  return endpoint.caFile === undefined ? {} : { ca: await readAuthorities(endpoint.caFile) }
}

const maxAuthoritiesBytes = 1024 * 1024

async function readAuthorities(path: string): Promise<string> {
  try {
    return await createFileReader(maxAuthoritiesBytes).read(path)
  } catch (cause) {
    throw new UpstreamError('tls', 'ca_file could not be read', { cause })
  }
}

async function read(
  endpoint: BundleEndpoint,
  trust: Trust,
  { ending, deadlineMs }: { readonly ending: AbortSignal; readonly deadlineMs: number },
): Promise<string> {
  const allowAddress = createAddressRule({ hosts: [new URL(endpoint.url).hostname], private: endpoint.private })
  const fetch = createHttpsFetch({ allowAddress, ...trust })
  const startTimer = (callback: () => void) => onEnd(ending, callback)
  const client = createHttpClient({ fetch, deadlineMs, startTimer, maxBytes: maxTrustBundleBytes, close: fetch.close })
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

/** §5.2.2.3: the certificate is an X.509-SVID of the configured ID, by the bundle that is held. */
function requireSpiffeId(
  chain: readonly Uint8Array[],
  expected: SpiffeId,
  authorities: readonly Certificate[],
  now: Date,
): void {
  const { uri } = validateServer(chain, expected, authorities, now)
  if (uri !== expected.uri) throw new UpstreamError('tls', `the endpoint shows ${uri}, and ${expected.uri} is expected`)
}

/** Only authorities of the expected trust domain count, whatever name a certificate of theirs has. */
function validateServer(
  chain: readonly Uint8Array[],
  { uri, trustDomain }: SpiffeId,
  authorities: readonly Certificate[],
  now: Date,
): SpiffeId {
  try {
    const own = (wanted: string) => (wanted === trustDomain ? authorities : [])
    return validateX509Svid(chain, own, { now, leewaySeconds: 60, purpose: 'serverAuth' }).spiffeId
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new UpstreamError('tls', `the endpoint shows no X.509-SVID that is trusted for ${uri} (${cause.message})`, {
      cause,
    })
  }
}
