/**
 * A client of the gateway: a proof goes in, a cloud's credential or a JWT-SVID comes out. It needs `fetch` and nothing
 * else, so it runs wherever that is.
 *
 * @module
 */
import { ApostilleError, isPassing } from './apostille-error.ts'
import { type CloudCredential, type JwtSvid, readCredential, readJwtSvid } from './credential-answer.ts'

/** The part of `fetch` that is used here. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>

export interface FetchInit {
  readonly method: 'GET' | 'POST'
  readonly headers: Record<string, string>
  readonly body?: string
  readonly redirect: 'manual'
  readonly signal: AbortSignal
}

export interface ClientOptions {
  /** Where the gateway listens, such as `https://id.example.org`; http to this machine only. */
  readonly server: string | URL
  /** The proof, or what gives it, which is called for each request. Absent where `fetch` shows a certificate. */
  readonly token?: string | (() => string | Promise<string>)
  /** Which of the identities of the proof; default: the first. */
  readonly spiffeId?: string
  /** Only this authenticator may take the proof; default: any. */
  readonly authenticator?: string
  /** Default: the runtime's. */
  readonly fetch?: Fetch
  /** For one answer, all attempts together; default: 30,000. */
  readonly deadlineMs?: number
}

export interface JwtSvidRequest {
  readonly audience: string | readonly string[]
  /** Default: as long as the rule allows. */
  readonly ttlSeconds?: number
}

/** Each asks the gateway anew. @throws {ApostilleError} */
export interface Client {
  readonly getCredential: (target: string) => Promise<CloudCredential>
  readonly getJwtSvid: (request: JwtSvidRequest) => Promise<JwtSvid>
}

/** @throws {ApostilleError} `usage` */
export function createClient(options: ClientOptions): Client {
  const origin = readServer(options.server)
  const ask = (call: Call) => askUntilDeadline({ ...options, origin }, call)
  const { spiffeId } = options
  return {
    async getCredential(target) {
      const query = spiffeId === undefined ? '' : `?spiffe_id=${encodeURIComponent(spiffeId)}`
      return readCredential(await ask({ method: 'GET', path: `/v1/credentials/${encodeURIComponent(target)}${query}` }))
    },
    async getJwtSvid({ audience, ttlSeconds }) {
      const body = { audience: [audience].flat(), spiffe_id: spiffeId, ttl_seconds: ttlSeconds }
      return readJwtSvid(await ask({ method: 'POST', path: '/v1/svid/jwt', body }))
    },
  }
}

interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: unknown
}

interface Asking extends ClientOptions {
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

async function askUntilDeadline(asking: Asking, call: Call): Promise<Readonly<Record<string, unknown>>> {
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
        const pauseMs = pauseAfter(error, attempt)
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
function pauseAfter(error: unknown, attempt: number): number | undefined {
  if (!(error instanceof ApostilleError) || !isPassing(error)) return undefined
  if (attempt >= (error.status === undefined ? maxUnanswered : maxAttempts)) return undefined
  const jitteredMs = Math.random() * Math.min(firstPauseMs * 2 ** attempt, longestPauseMs)
  return Math.max(jitteredMs, (error.retryAfterSeconds ?? 0) * 1000)
}

async function askOnce(asking: Asking, { method, path, body }: Call, signal: AbortSignal) {
  const { origin, authenticator, fetch = globalThis.fetch } = asking
  const headers = {
    ...(await readProof(asking)),
    ...(authenticator !== undefined && { 'apostille-authenticator': authenticator }),
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
  const init = { method, headers, redirect: 'manual', signal } as const
  const response = await fetch(
    `${origin}${path}`,
    body === undefined ? init : { ...init, body: JSON.stringify(body) },
  ).catch((cause: unknown) => {
    throw new ApostilleError(`no answer from ${origin}`, { code: 'unreachable', cause })
  })
  const document = parseObject(await readText(response, origin))
  if (response.status !== 200) throw problemOf(response, document)
  if (document === undefined) throw new ApostilleError('the answer is not JSON', { code: 'unexpected_answer' })
  return document
}

async function readProof({ token }: ClientOptions): Promise<Record<string, string>> {
  if (token === undefined) return {}
  const text = (typeof token === 'string' ? token : await token()).trim()
  // RFC 9110 §5.5: nothing else may stand in a header, and an error of the runtime might quote it.
  if (!/^[\x21-\x7e]{1,16384}$/.test(text))
    throw new ApostilleError('the token is none: one word of ASCII is expected', { code: 'token' })
  return { authorization: `Bearer ${text}` }
}

const maxAnswerBytes = 256 * 1024

async function readText(response: Response, origin: string): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength
      if (size > maxAnswerBytes) break
      text += decoder.decode(chunk, { stream: true })
    }
  } catch (cause) {
    throw new ApostilleError(`the answer of ${origin} broke off`, { code: 'unreachable', cause })
  }
  if (size <= maxAnswerBytes) return text + decoder.decode()
  throw new ApostilleError(`the answer has more than ${maxAnswerBytes} bytes`, { code: 'unexpected_answer' })
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
  const { code, title, detail, request_id: requestId } = document
  const known = typeof code === 'string' && typeof title === 'string'
  const message = known ? `${title} (${code})${typeof detail === 'string' ? `: ${detail}` : ''}` : `status ${status}`
  const retryAfter = /^\d{1,6}$/.exec(headers.get('retry-after') ?? '')?.[0]
  return new ApostilleError(message, {
    code: known ? code : 'unexpected_answer',
    status,
    ...(typeof requestId === 'string' && { requestId }),
    ...(retryAfter !== undefined && { retryAfterSeconds: Number(retryAfter) }),
  })
}
