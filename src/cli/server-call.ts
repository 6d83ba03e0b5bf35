/**
 * Requests of a workload: the server's URL, the proof that goes with them, and what an answer or the lack of one means.
 *
 * @module
 */
import { type IncomingMessage, request as plainRequest, type RequestOptions } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { CliError, usageError } from './cli-error.ts'
import { readTextFile } from './files.ts'
import type { ServerOptions, WorkloadOptions } from './options.ts'
import { problemError } from './problem.ts'

export interface ServerCall {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Below the server's URL. */
  readonly path: string
  readonly body?: unknown
}

/** Asks the server; the text of an answer of 200, nothing of one of 204. */
export type CallServer = (call: ServerCall) => Promise<string>

const deadlineMs = 30_000
const maxAnswerBytes = 4 * 1024 * 1024
/** The gateway takes no longer header. */
const maxTokenLength = 16 * 1024

/** Without a proof: for what everybody may read. @throws {CliError} `file` */
export async function openServer(options: ServerOptions): Promise<CallServer> {
  const tls = await readTrust(options)
  return (call) => callServer(options, call, tls)
}

/** @throws {CliError} `usage` when there is no proof, or two; `file` */
export async function openServerWithProof(options: WorkloadOptions): Promise<CallServer> {
  const tls = await readTrust(options)
  const proof = await readProof(options)
  const headers = {
    ...proof.headers,
    ...(options.authenticator !== undefined && { 'apostille-authenticator': options.authenticator }),
  }
  return (call) => callServer(options, call, { ...tls, ...proof.tls, headers })
}

async function readTrust({ caFile }: ServerOptions): Promise<RequestOptions & { readonly ca?: string }> {
  if (caFile === undefined) return {}
  const ca = await readTextFile(caFile, 'the CA')
  if (!ca.includes('-----BEGIN CERTIFICATE-----'))
    throw new CliError(`${caFile} holds no certificate: PEM is expected`, { code: 'file' })
  return { ca }
}

interface CallProof {
  readonly headers?: Readonly<Record<string, string>>
  readonly tls?: { readonly cert: string; readonly key: string }
}

async function readProof(options: WorkloadOptions): Promise<CallProof> {
  checkProofFlags(options)
  const { tokenFile, certFile, keyFile } = options
  if (certFile !== undefined && keyFile !== undefined)
    return {
      tls: { cert: await readTextFile(certFile, 'the certificate'), key: await readTextFile(keyFile, 'the key') },
    }
  if (tokenFile === undefined) throw noProof()
  return { headers: { authorization: `Bearer ${await readToken(tokenFile)}` } }
}

/** @throws {CliError} `usage` for half a proof */
export function checkProofFlags({ certFile, keyFile, server }: WorkloadOptions): void {
  if ((certFile === undefined) !== (keyFile === undefined))
    throw usageError('--cert-file and --key-file go together: name both')
  if (certFile !== undefined && server.protocol !== 'https:') throw usageError('a certificate is a proof on https only')
}

export function noProof(): CliError {
  return usageError(
    'there is no proof of identity',
    'Name a token with --token-file FILE (- is standard input, or APOSTILLE_TOKEN_FILE), or an SVID with --cert-file and --key-file.',
  )
}

/** A token alone in its file; `-` is standard input. @throws {CliError} `file` */
export async function readToken(file: string): Promise<string> {
  const token = (await readTextFile(file, 'the token')).trim()
  if (/^[\x21-\x7e]+$/.test(token) && token.length <= maxTokenLength) return token
  throw new CliError(`${file === '-' ? 'standard input' : file} holds no token: one word of ASCII is expected`, {
    code: 'file',
  })
}

async function callServer(
  { server, caFile }: ServerOptions,
  { method, path, body }: ServerCall,
  options: RequestOptions,
): Promise<string> {
  try {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = {
      ...options.headers,
      ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    }
    const url = new URL(`${server.href.replace(/\/$/, '')}${path}`)
    const response = await send(url, { ...options, method, headers }, text)
    const answer = await readAnswer(response)
    if (response.statusCode === 200 || response.statusCode === 204) return answer
    throw problemError(response.statusCode ?? 0, parseJson(answer), { who: 'workload', caFile })
  } catch (error) {
    throw error instanceof CliError ? error : connectionError(server, caFile, error as NodeJS.ErrnoException)
  }
}

function send(url: URL, options: RequestOptions, body: string | undefined): Promise<IncomingMessage> {
  const start = url.protocol === 'https:' ? tlsRequest : plainRequest
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(deadlineMs)
    const request = start(url, { ...options, agent: false, signal }, resolve)
    request.once('error', reject)
    request.end(body)
  })
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxAnswerBytes)
      throw new CliError(`the answer has more than ${maxAnswerBytes} bytes`, { code: 'unexpected_answer' })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** The members of a JSON answer. @throws {CliError} `unexpected_answer` */
export function readJsonAnswer<Answer>(text: string): Answer {
  const value = parseJson(text)
  if (typeof value === 'object' && value !== null) return value as Answer
  throw new CliError('the answer is not JSON, so not one of a gateway', { code: 'unexpected_answer' })
}

const trustErrors = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
])

/** No answer, or none that can be trusted. */
export function connectionError(server: URL, caFile: string | undefined, cause: NodeJS.ErrnoException): CliError {
  const code = codeOf(cause)
  const where = server.host
  if (trustErrors.has(code))
    return new CliError(
      `the certificate of ${where} is not vouched for by ${caFile ?? 'an authority that Node knows'}`,
      {
        code: 'server_certificate',
        hint: "Name the gateway's CA with --ca-file FILE (APOSTILLE_CA_FILE): its trust bundle as PEM, which its operator writes with: apostille bundle --out FILE",
        cause,
      },
    )
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code.startsWith('CERT_'))
    return new CliError(`the certificate of ${where} is not good for it (${code})`, {
      code: 'server_certificate',
      hint: "Use the host that the gateway's issuer names, and check the clock.",
      cause,
    })
  if (code.startsWith('ERR_OSSL_') || code === 'ERR_INVALID_ARG_VALUE')
    return new CliError(`the certificate and its key are not PEM, or do not go together (${code})`, {
      code: 'file',
      cause,
    })
  if (server.protocol === 'http:' && ['ECONNRESET', 'EPIPE', 'ECONNABORTED'].includes(code))
    return new CliError(`${where} broke the connection off (${code})`, {
      code: 'server_unreachable',
      hint: `A gateway speaks https, unless its configuration says tls: off: --server https://${where}`,
      cause,
    })
  return new CliError(`no answer from ${server.origin} (${code})`, {
    code: 'server_unreachable',
    hint: 'Check that the gateway runs, and --server (APOSTILLE_SERVER).',
    cause,
  })
}

/** A host with several addresses fails with one error for each of them. */
function codeOf(error: NodeJS.ErrnoException): string {
  if (error instanceof AggregateError) return codeOf((error.errors[0] ?? {}) as NodeJS.ErrnoException)
  return error.name === 'TimeoutError' || error.name === 'AbortError'
    ? `none within ${deadlineMs / 1000} s`
    : (error.code ?? error.name ?? 'unknown error')
}
