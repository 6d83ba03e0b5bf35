/**
 * HTTPS requests to services that this depends on: bounded in time and size, and never led elsewhere.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { CrowdedOut, type HostTurns } from './host-turns.ts'

/**
 * What went wrong with an upstream: no answer in time, no turn in time among requests of ours (of which the upstream knows
 * nothing), more bytes than are read, a redirect, a status that is none of success, no connection, no trust in its
 * certificate, an address that may not be reached, an answer that cannot be read.
 */
export type UpstreamErrorCode =
  | 'timeout'
  | 'crowded'
  | 'too_large'
  | 'redirect'
  | 'status'
  | 'network'
  | 'tls'
  | 'address'
  | 'malformed'

/** A service that this depends on did not do its part. The message names its host, and holds nothing that it sent. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  readonly code: UpstreamErrorCode
  /** HTTP status, for `status` and `redirect`. */
  readonly status: number | undefined

  constructor(code: UpstreamErrorCode, message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options)
    this.code = code
    this.status = options.status
  }
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface HttpRequest {
  /** https, without user or password. */
  readonly url: string
  /** `GET` by default. */
  readonly method?: HttpMethod
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Whether it may be sent again when a kept connection turns out to be dead; true for `GET` by default. */
  readonly repeatable?: boolean
  /** Whether a redirect is an answer, for a caller that judges where it leads; a failure by default. */
  readonly followable?: boolean
  /** Aborted when nobody waits any longer; the deadline holds as well. */
  readonly signal?: AbortSignal
}

export interface HttpAnswer {
  /** Anything but 3xx, unless redirects were asked for. */
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export interface HttpClient {
  /** @throws {UpstreamError} every code but `status`; see {@link requireSuccess} */
  readonly request: (request: HttpRequest) => Promise<HttpAnswer>
  readonly close: () => Promise<void>
}

/** The part of `fetch` that is used here. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>

export interface FetchInit {
  readonly method: HttpMethod
  readonly headers: Record<string, string>
  readonly body?: string
  readonly redirect: 'manual'
  readonly signal: AbortSignal
  /** See {@link HttpRequest}; of no meaning to the built-in `fetch`. */
  readonly repeatable: boolean
}

/** Where requests go, and whom to trust there. */
export interface UpstreamPlace {
  /** PEM; trusted instead of the roots that come with the runtime. */
  readonly caFile?: string
  /** Hosts that the configuration names, as in a URL: they may have any address. */
  readonly hosts: readonly string[]
  /** Whether other hosts may have loopback, link-local and private addresses too; false by default. */
  readonly private?: boolean
  /**
   * At most so many connections at a time to each host, all of which are kept for the next requests: a handshake costs
   * more than what follows. Any number by default, of which a few are kept.
   */
  readonly connections?: number
  /** Of one answer's body; what the runtime has for all upstreams by default. */
  readonly maxBytes?: number
}

/** Port: what makes a client for one upstream, which each runtime does in its own way. */
export type ConnectUpstream = (place: UpstreamPlace) => HttpClient

export interface HttpClientDeps {
  readonly fetch: Fetch
  /** For the whole exchange, body included; 5000 by default. */
  readonly deadlineMs?: number
  /** Waited for before the deadline begins. Any number at a time by default. */
  readonly turns?: HostTurns
  /** Of the body, after decompression; 256 KiB by default. */
  readonly maxBytes?: number
  /** Calls back once after `ms`; answers what cancels it. The runtime's timer by default. */
  readonly startTimer?: (callback: () => void, ms: number) => () => void
  /** Ends the connections that `fetch` keeps. */
  readonly close?: () => Promise<void>
}

export function createHttpClient(deps: HttpClientDeps): HttpClient {
  const {
    fetch,
    deadlineMs = 5000,
    maxBytes = 256 * 1024,
    startTimer = startRuntimeTimer,
    turns,
    close = async () => {},
  } = deps

  async function request(wanted: HttpRequest): Promise<HttpAnswer> {
    const host = requireHttps(wanted.url)
    if (turns === undefined) return send(wanted, host)
    const endTurn = await takeTurn(turns, host, wanted.signal)
    try {
      return await send(wanted, host)
    } finally {
      endTurn()
    }
  }

  async function send(wanted: HttpRequest, host: string): Promise<HttpAnswer> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const abort = new AbortController()
    const giveUp = (message: string) => {
      reject(new UpstreamError('timeout', message))
      abort.abort()
    }
    const forsake = () => giveUp(`nobody waits for ${host} any longer`)
    const cancelTimer = startTimer(() => giveUp(`${host} did not answer within ${deadlineMs} ms`), deadlineMs)
    wanted.signal?.addEventListener('abort', forsake)
    if (wanted.signal?.aborted === true) forsake()
    try {
      return await Promise.race([exchange(fetch, wanted, { host, maxBytes, signal: abort.signal }), late])
    } catch (error) {
      throw translateFailure(error, host)
    } finally {
      cancelTimer()
      wanted.signal?.removeEventListener('abort', forsake)
    }
  }

  return { request, close }
}

/** @throws {UpstreamError} `crowded` */
async function takeTurn(turns: HostTurns, host: string, signal: AbortSignal | undefined): Promise<() => void> {
  try {
    return await turns(host, signal)
  } catch (error) {
    if (!(error instanceof CrowdedOut)) throw error
    throw new UpstreamError('crowded', `too many requests of ours to ${host} were before this one`)
  }
}

/** @throws {UpstreamError} `status` for anything but 2xx */
export function requireSuccess(answer: HttpAnswer, url: string): HttpAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer
  throw new UpstreamError('status', `${new URL(url).host} answered with status ${answer.status}`, {
    status: answer.status,
  })
}

function startRuntimeTimer(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}

function requireHttps(url: string): string {
  const parsed = URL.parse(url)
  if (parsed?.protocol !== 'https:') throw new UpstreamError('tls', 'an upstream URL is not https')
  if (parsed.username !== '' || parsed.password !== '') throw new UpstreamError('network', 'an upstream URL has a user')
  return parsed.host
}

interface Bounds {
  readonly host: string
  readonly maxBytes: number
  readonly signal: AbortSignal
}

async function exchange(fetch: Fetch, wanted: HttpRequest, bounds: Bounds): Promise<HttpAnswer> {
  const { method = 'GET', repeatable = method === 'GET' } = wanted
  const response = await fetch(wanted.url, {
    method,
    repeatable,
    // The Kubernetes API server answers 406 for its key set unless that type is named.
    headers: { accept: 'application/json, application/jwk-set+json', ...wanted.headers },
    redirect: 'manual',
    signal: bounds.signal,
    ...(wanted.body === undefined ? {} : { body: wanted.body }),
  })
  const { status, headers } = response
  const redirected = status >= 300 && status < 400
  if (redirected || status < 200) await response.body?.cancel()
  if (redirected && wanted.followable === true) return { status, headers, text: '' }
  if (redirected || status < 200) {
    throw new UpstreamError('redirect', `${bounds.host} answered with a redirect (${status})`, { status })
  }
  return { status, headers, text: await readText(response, bounds) }
}

/** Stops at the first byte too many: a length that was announced may be a lie, and says nothing of what is compressed. */
async function readText(response: Response, { host, maxBytes }: Bounds): Promise<string> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body) {
    size += chunk.byteLength
    // Leaving the loop cancels the body.
    if (size > maxBytes) throw new UpstreamError('too_large', `${host} answered with more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return decodeUtf8(Buffer.concat(chunks), host)
}

function decodeUtf8(bytes: Uint8Array, host: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new UpstreamError('malformed', `${host} answered with bytes that are not UTF-8`, { cause })
  }
}

const tlsFailure = /^(?:ERR_TLS_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_|INVALID_|EPROTO)/

/** The cause is left out: an error of the HTTP parser carries the bytes that it could not read. */
function translateFailure(error: unknown, host: string): UpstreamError {
  if (error instanceof UpstreamError) return error
  const found = failureCode(error)
  if (found !== undefined && tlsFailure.test(found)) return new UpstreamError('tls', `no trust in ${host} (${found})`)
  return new UpstreamError('network', `${host} could not be reached${found === undefined ? '' : ` (${found})`}`)
}

/** The error code of the runtime, such as `ECONNREFUSED`; `fetch` has it one `cause` below. */
function failureCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : failureCode(error.cause)
}
