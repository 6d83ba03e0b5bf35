/**
 * The TLS server of a double: it keeps what it was asked, and fails when it is told to.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startHttpsServer } from '../https-server.ts'
import { createTestAuthority, type TestAuthority } from '../tls.ts'
import type { IssuerNetwork, KeyCachePolicy } from './issuer-documents.ts'

export interface CloudOptions extends IssuerNetwork {
  /** Signs the certificate of the double itself, for `localhost` and `127.0.0.1`; one of its own by default. */
  readonly authority?: TestAuthority
  /** The double's clock; the real one by default. TLS goes by the real one in any case. */
  readonly now?: () => Date
  readonly keyCache?: Partial<KeyCachePolicy>
}

/** What happens to one answer. */
export type Fault = QuickFault | Delay

export interface Delay {
  readonly kind: 'delay'
  readonly ms: number
  /** The true answer by default. */
  readonly followedBy?: QuickFault
}

export type QuickFault =
  | { readonly kind: 'throttle'; readonly retryAfterSeconds?: number }
  /** 503 by default; 500 is the cloud's internal error. */
  | { readonly kind: 'unavailable'; readonly status?: 500 | 502 | 503 | 504 }
  /** The connection ends without an answer, and nothing was done. */
  | { readonly kind: 'reset' }
  /** What was asked is done, and then the connection ends without an answer. */
  | { readonly kind: 'lost' }
  /** Somebody else acts in the last moment before the request is, and it gets the true answer. */
  | { readonly kind: 'overtaken'; readonly act: () => void }
  /** 200 with a body that is no answer. */
  | { readonly kind: 'garbage'; readonly body?: string }

export type AnsweredFault = Extract<QuickFault, { readonly kind: 'throttle' | 'unavailable' }>

export interface CloudRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** As it was sent, with the `?`; empty when there is none. */
  readonly search: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Nothing is hidden: tests look for what was sent. */
export interface LoggedRequest extends CloudRequest {
  /** Of the query, and of a form or JSON body. */
  readonly fields: Readonly<Record<string, string>>
  readonly at: Date
  /** Absent until it is answered, and after a reset. */
  status?: number
  /** Name of the rule that it broke. */
  refusedBy?: string
}

export interface CloudAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
  readonly refusedBy?: string
}

/** What every double has. */
export interface CloudServer {
  /** `https://localhost:<port>` */
  readonly url: string
  readonly port: number
  /** PEM of the authority that signed its certificate. */
  readonly ca: string
  /** A file with {@link ca}; gone after {@link close}. */
  readonly caFile: string
  readonly requests: LoggedRequest[]
  /** The next answers fail so, after those that already wait to. Times: 1 by default; of these requests alone. */
  readonly inject: (fault: Fault, times?: number, of?: (request: LoggedRequest) => boolean) => void
  /** Forgets what it was asked and how it is to fail. */
  readonly calm: () => void
  readonly close: () => Promise<void>
}

export interface CloudServerParts {
  readonly authority: TestAuthority | undefined
  readonly now: () => Date
  readonly respond: (request: LoggedRequest) => Promise<CloudAnswer> | CloudAnswer
  /** The cloud's own words for a fault. */
  readonly failWith: (fault: AnsweredFault, request: LoggedRequest) => CloudAnswer
  /** All, by default. */
  readonly mayFail?: (request: LoggedRequest) => boolean
}

interface Waiting {
  readonly fault: Fault
  readonly of: ((request: LoggedRequest) => boolean) | undefined
}

const maxBodyBytes = 8 * 1024 * 1024

export async function startCloudServer(parts: CloudServerParts): Promise<CloudServer> {
  const authority = parts.authority ?? (await createTestAuthority('cloud CA'))
  const requests: LoggedRequest[] = []
  const faults: Waiting[] = []
  const server = await startHttpsServer(await authority.issue(), (incoming, response) => {
    answer(incoming, response).catch((error: unknown) => sendAnswer(response, brokenDouble(error)))
  })

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await readRequest(incoming, parts.now())
    requests.push(request)
    const fault = (parts.mayFail?.(request) ?? true) ? await nextFault(request) : undefined
    if (fault?.kind === 'reset') {
      incoming.socket.destroy()
      return
    }
    if (fault?.kind === 'overtaken') fault.act()
    const made = await makeAnswer(fault, request)
    if (fault?.kind === 'lost') {
      incoming.socket.destroy()
      return
    }
    request.status = made.status
    if (made.refusedBy !== undefined) request.refusedBy = made.refusedBy
    sendAnswer(response, made)
  }

  async function nextFault(request: LoggedRequest): Promise<QuickFault | undefined> {
    const found = faults.findIndex(({ of }) => of?.(request) ?? true)
    const fault = found < 0 ? undefined : faults.splice(found, 1)[0]?.fault
    if (fault?.kind !== 'delay') return fault
    await wait(fault.ms, undefined, { ref: false })
    return fault.followedBy
  }

  function makeAnswer(fault: QuickFault | undefined, request: LoggedRequest): Promise<CloudAnswer> | CloudAnswer {
    if (fault?.kind === 'garbage') return { status: 200, body: fault.body ?? '<html>gateway</html>' }
    if (fault?.kind === 'throttle' || fault?.kind === 'unavailable') return parts.failWith(fault, request)
    return parts.respond(request)
  }

  const directory = mkdtempSync(join(tmpdir(), 'cloud-double-'))
  const caFile = join(directory, 'ca.pem')
  writeFileSync(caFile, authority.ca)
  return {
    url: server.origin,
    port: server.port,
    ca: authority.ca,
    caFile,
    requests,
    inject: (fault, times = 1, of) => void faults.push(...Array.from({ length: times }, () => ({ fault, of }))),
    calm() {
      requests.length = 0
      faults.length = 0
    },
    async close() {
      await server.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function readRequest(incoming: IncomingMessage, at: Date): Promise<LoggedRequest> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of incoming) {
    length += chunk.length
    if (length > maxBodyBytes) throw new Error('the body is too large for a test')
    chunks.push(chunk)
  }
  const [path = '/', query] = (incoming.url ?? '/').split(/\?(.*)/s)
  const body = Buffer.concat(chunks).toString('utf8')
  const headers = Object.fromEntries(
    Object.entries(incoming.headersDistinct).map(([name, values]) => [name, (values ?? []).join(', ')]),
  )
  const search = query === undefined ? '' : `?${query}`
  const fields = { ...Object.fromEntries(new URLSearchParams(search)), ...readFields(headers['content-type'], body) }
  return { method: incoming.method ?? 'GET', path, search, headers, body, fields, at }
}

function readFields(type = '', body: string): Readonly<Record<string, string>> {
  if (/^application\/x-www-form-urlencoded/i.test(type)) return Object.fromEntries(new URLSearchParams(body))
  if (!/^application\/(?:json|x-amz-json-1\.1)/i.test(type)) return {}
  try {
    const members = Object.entries(JSON.parse(body) as Readonly<Record<string, unknown>>)
    return Object.fromEntries(members.map(([name, v]) => [name, typeof v === 'string' ? v : JSON.stringify(v)]))
  } catch {
    return {}
  }
}

function sendAnswer(response: ServerResponse, { status, headers, body }: CloudAnswer): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
}

/** Nothing that a cloud would say: a test that meets it asks for what the double does not know. */
function brokenDouble(error: unknown): CloudAnswer {
  return { status: 599, body: `the double failed: ${error instanceof Error ? error.message : String(error)}` }
}
