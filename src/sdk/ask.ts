/**
 * One request to the gateway: its proof, its attempts, its deadline, and what came of it. It needs `fetch` and nothing
 * else, so it runs wherever that is.
 *
 * @module
 */
import { ApostilleError, isPassing } from './apostille-error.ts'

/** The part of `fetch` that is used here. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>

export interface FetchInit {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly headers: Record<string, string>
  readonly body?: string
  readonly redirect: 'manual'
  readonly signal: AbortSignal
}

export interface ServerOptions {
  /** Where the gateway listens, such as `https://id.example.org`; http to this machine only. */
  readonly server: string | URL
  /** The proof, or what gives it, which is called for each request. Absent where `fetch` shows a certificate. */
  readonly token?: string | (() => string | Promise<string>)
  /** Only this authenticator may take the proof; default: any. */
  readonly authenticator?: string
  /** Default: the runtime's. */
  readonly fetch?: Fetch
  /** For one answer, all attempts together; default: 30,000. */
  readonly deadlineMs?: number
}

export interface Call {
  readonly method?: FetchInit['method']
  /** Below the server's URL. */
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Everybody may read it: no proof is shown. */
  readonly isPublic?: boolean
  /** Whether it does no harm twice. Default: true. Where not, only what the gateway did not begin is tried again. */
  readonly isRepeatable?: boolean
  /** Default: 262,144. */
  readonly maxAnswerBytes?: number
}

/** Of status 200, 204 or 304. */
export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** @throws {ApostilleError} */
export type Ask = (call: Call) => Promise<Answered>

/** For what is no longer than its request asks for: many SVIDs, a large bundle. */
export const longAnswerBytes = 4 * 1024 * 1024

/** @throws {ApostilleError} `usage` */
export function createAsk(options: ServerOptions): Ask {
  const asking = { ...options, origin: readServer(options.server) }
  return (call) => askUntilDeadline(asking, call)
}

/** The members of a JSON answer. @throws {ApostilleError} `unexpected_answer` */
export function readObject({ text }: Pick<Answered, 'text'>): Readonly<Record<string, unknown>> {
  const document = parseObject(text)
  if (document === undefined) throw new ApostilleError('the answer is not JSON', { code: 'unexpected_answer' })
  return document
}

interface Asking extends ServerOptions {
  /** Without a slash at its end. */
  readonly origin: string
}

const loopbackHost = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/** A proof must not cross a network in the clear. */
function readServer(server: string | URL): string {
  const url = URL.parse(String(server))
  const good = url?.protocol === 'https:' || (url?.protocol === 'http:' && loopbackHost.test(url.hostname))
  if (url === null || !good || url.username !== '' || url.search !== '' || url.hash !== '')
    throw new ApostilleError('server: expected an https URL such as https://id.example.org', { code: 'usage' })
  return url.href.replace(/\/$/, '')
}

const defaultDeadlineMs = 30_000
const maxAttempts = 6
/** When nobody answers at all, which may be for good. */
const maxUnanswered = 3
const firstPauseMs = 250
const longestPauseMs = 4_000

/** URLs resolve such segments, so that a name would lead to another place. */
const dotSegment = /\/\.\.?(?=[/?]|$)/

async function askUntilDeadline(asking: Asking, call: Call): Promise<Answered> {
  if (dotSegment.test(call.path))
    throw new ApostilleError('a name or path must not have . or .. as a segment', { code: 'usage' })
  const { deadlineMs = defaultDeadlineMs } = asking
  const end = performance.now() + deadlineMs
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), deadlineMs)
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await askOnce(asking, call, abort.signal)
      } catch (error) {
        if (abort.signal.aborted) throw late(deadlineMs, error)
        const pauseMs = pauseAfter(error, attempt, call)
        if (pauseMs === undefined || performance.now() + pauseMs >= end) throw error
        await pause(pauseMs)
      }
    }
  } finally {
    clearTimeout(timer)
  }
}

function late(deadlineMs: number, cause: unknown): ApostilleError {
  return new ApostilleError(`no answer within ${deadlineMs} ms`, { code: 'timeout', cause })
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Full jitter, and no sooner than the gateway asks for; undefined when another attempt gains nothing. */
function pauseAfter(error: unknown, attempt: number, { isRepeatable = true }: Call): number | undefined {
  if (!(error instanceof ApostilleError) || !isPassing(error)) return undefined
  if (!isRepeatable && !wasNotBegun(error)) return undefined
  if (attempt >= (error.status === undefined ? maxUnanswered : maxAttempts)) return undefined
  const jitteredMs = Math.random() * Math.min(firstPauseMs * 2 ** attempt, longestPauseMs)
  return Math.max(jitteredMs, (error.retryAfterSeconds ?? 0) * 1000)
}

/** Of others nobody knows whether the change was made. */
function wasNotBegun({ code, status }: ApostilleError): boolean {
  return status === 429 || code === 'overloaded'
}

async function askOnce(asking: Asking, call: Call, signal: AbortSignal): Promise<Answered> {
  const { origin, fetch = globalThis.fetch } = asking
  const { method = call.body === undefined ? 'GET' : 'POST', body, path } = call
  const headers = { ...(await headersOf(asking, call)), ...call.headers }
  const init = { method, headers, redirect: 'manual', signal } as const
  const response = await fetch(
    `${origin}${path}`,
    body === undefined ? init : { ...init, body: JSON.stringify(body) },
  ).catch((cause: unknown) => {
    if (cause instanceof ApostilleError) throw cause
    throw new ApostilleError(`no answer from ${origin}`, { code: 'unreachable', cause })
  })
  const text = await readText(response, origin, call.maxAnswerBytes ?? defaultMaxAnswerBytes)
  const { status } = response
  const isGood = status === 200 || status === 204 || (status === 304 && headers['if-none-match'] !== undefined)
  if (!isGood) throw problemOf(response, parseObject(text))
  return { status, headers: response.headers, text }
}

async function headersOf(asking: Asking, { isPublic, body }: Call): Promise<Record<string, string>> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' }
  if (isPublic) return json
  const { authenticator } = asking
  return {
    ...(await readProof(asking)),
    ...(authenticator !== undefined && { 'apostille-authenticator': authenticator }),
    ...json,
  }
}

async function readProof({ token }: ServerOptions): Promise<Record<string, string>> {
  if (token === undefined) return {}
  const given: unknown = typeof token === 'string' ? token : await askForToken(token)
  const text = typeof given === 'string' ? given.trim() : ''
  // RFC 9110 §5.5: nothing else may stand in a header, and an error of the runtime might quote it.
  if (!/^[\x21-\x7e]{1,16384}$/.test(text))
    throw new ApostilleError('the token is none: one word of ASCII is expected', { code: 'token' })
  return { authorization: `Bearer ${text}` }
}

/** What it throws is somebody else's, and must end nothing that goes on by itself, such as a renewal. */
async function askForToken(token: () => string | Promise<string>): Promise<string> {
  try {
    return await token()
  } catch (cause) {
    if (cause instanceof ApostilleError) throw cause
    throw new ApostilleError('the token is not to be had: see the cause', { code: 'token', cause })
  }
}

const defaultMaxAnswerBytes = 256 * 1024

async function readText(response: Response, origin: string, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength
      if (size > maxBytes) break
      text += decoder.decode(chunk, { stream: true })
    }
  } catch (cause) {
    throw new ApostilleError(`the answer of ${origin} broke off`, { code: 'unreachable', cause })
  }
  if (size <= maxBytes) return text + decoder.decode()
  throw new ApostilleError(`the answer has more than ${maxBytes} bytes`, { code: 'unexpected_answer' })
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

/** RFC 9457, or what something between here and the gateway answers. */
function problemOf({ status, headers }: Response, document: Readonly<Record<string, unknown>> = {}): ApostilleError {
  const retryAfterSeconds = readRetryAfter(headers.get('retry-after'))
  return problemError(document, { status, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) })
}

/** What a problem document says. */
export function problemError(
  document: Readonly<Record<string, unknown>>,
  answer: { readonly status: number; readonly retryAfterSeconds?: number },
): ApostilleError {
  const { code, title, detail, request_id: requestId } = document
  const known = typeof code === 'string' && typeof title === 'string'
  const message = known
    ? `${title} (${code})${typeof detail === 'string' ? `: ${detail}` : ''}`
    : `status ${answer.status}`
  return new ApostilleError(message, {
    ...answer,
    code: known ? code : 'unexpected_answer',
    ...(typeof requestId === 'string' && { requestId }),
  })
}

/** RFC 9110 §10.2.3: seconds, as the gateway says it, or a date, as what stands before it may. */
function readRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined
  if (/^\d{1,6}$/.test(value)) return Number(value)
  const time = Date.parse(value)
  return Number.isNaN(time) ? undefined : Math.max(0, Math.ceil((time - Date.now()) / 1000))
}
