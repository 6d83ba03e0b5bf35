/**
 * Talks to the admin socket of a running gateway.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { dirname, resolve } from 'node:path'
import { readSource } from '../core/config-source.ts'
import { parseListenAddress } from '../core/listen-address.ts'

export interface AdminRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
}

export interface AdminAnswer {
  readonly status: number
  /** Parsed JSON; `undefined` when it is none. */
  readonly body: unknown
}

export interface AdminClient {
  readonly socketPath: string
  /** @throws {AdminUnreachable} */
  readonly call: (request: AdminRequest) => Promise<AdminAnswer>
  /** The answer's body as it comes. @throws {AdminUnreachable} also while it is read */
  readonly stream: (
    request: AdminRequest,
  ) => Promise<{ readonly status: number; readonly chunks: AsyncIterable<Buffer> }>
}

/** A configuration that does not say where the admin socket is. */
export class AdminSocketError extends Error {
  override readonly name = 'AdminSocketError'

  /** Whether there is no file at that path. */
  get missing(): boolean {
    return (this.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
  }
}

/** Nobody answers on the admin socket, or this user may not open it. */
export class AdminUnreachable extends Error {
  override readonly name = 'AdminUnreachable'
  readonly reason: 'not_running' | 'not_allowed' | 'broken_off'

  constructor(reason: AdminUnreachable['reason'], options?: ErrorOptions) {
    super(reason, options)
    this.reason = reason
  }
}

const defaultSocket = './data/admin.sock'
/** Long, as verifying millions of records takes a while. */
const idleMs = 600_000

/**
 * The path of the admin socket that a configuration names, without the schema, and from that part alone where the whole is
 * no YAML: an operator must reach a gateway that runs, whatever is wrong with the document on disk by now.
 *
 * @throws {AdminSocketError}
 */
export async function readAdminSocketPath(configFile: string): Promise<string> {
  const { content, problem } = readAdminContent(await readText(configFile))
  if (problem !== undefined) throw new AdminSocketError(`${configFile}: admin can not be read: ${problem}`)
  const { admin } = (content ?? {}) as { readonly admin?: { readonly listen?: unknown } | null }
  const path = unixPathOf(admin?.listen ?? `unix:${defaultSocket}`)
  if (path === undefined)
    throw new AdminSocketError(`${configFile}: admin.listen names no unix socket: expected unix:PATH`)
  return resolve(dirname(resolve(configFile)), path)
}

function unixPathOf(listen: unknown): string | undefined {
  try {
    const address = typeof listen === 'string' ? parseListenAddress(listen) : undefined
    return address?.kind === 'unix' ? address.path : undefined
  } catch {
    return undefined
  }
}

function readAdminContent(text: string): { readonly content?: unknown; readonly problem?: string | undefined } {
  const whole = readSource(text)
  if (whole.problems.length === 0) return whole
  const part = adminPart.exec(text)?.[0]
  const read = readSource(part ?? text)
  return read.problems.length === 0 ? read : { problem: read.problems[0]?.message }
}

/** In a broken document: the key at the start of a line, and what stands below it, which is indented, empty, or a comment. */
const adminPart = /^\uFEFF?(?:admin|'admin'|"admin")[ \t]*:.*(?:\r?\n(?:[ \t#].*)?)*/m

async function readText(configFile: string): Promise<string> {
  try {
    return await readFile(configFile, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new AdminSocketError(
      code === 'ENOENT'
        ? `there is no configuration at ${configFile}: name one with --config FILE`
        : `${configFile} can not be read: ${code}`,
      { cause },
    )
  }
}

export function createAdminClient(socketPath: string): AdminClient {
  return {
    socketPath,
    async call(request) {
      const response = await send(socketPath, request)
      return { status: response.statusCode ?? 0, body: parseJson(await readBody(response)) }
    },
    async stream(request) {
      const response = await send(socketPath, request)
      return { status: response.statusCode ?? 0, chunks: guard(response) }
    },
  }
}

function send(socketPath: string, { method, path, query, body }: AdminRequest): Promise<IncomingMessage> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolveResponse, reject) => {
    const request = httpRequest(
      {
        socketPath,
        method,
        path: `${path}${formatQuery(query)}`,
        agent: false,
        timeout: idleMs,
        headers: {
          host: 'localhost',
          ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
      },
      resolveResponse,
    )
    request.once('error', (error: NodeJS.ErrnoException) => reject(unreachable(error)))
    request.once('timeout', () => request.destroy())
    request.end(text)
  })
}

function formatQuery(query: AdminRequest['query']): string {
  const pairs = Object.entries(query ?? {}).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`
}

function unreachable(cause: NodeJS.ErrnoException): AdminUnreachable {
  if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED') return new AdminUnreachable('not_running', { cause })
  return new AdminUnreachable(cause.code === 'EACCES' ? 'not_allowed' : 'broken_off', { cause })
}

async function* guard(response: IncomingMessage): AsyncIterable<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer
  } catch (cause) {
    throw new AdminUnreachable('broken_off', { cause })
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of guard(response)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
