/**
 * `fetch` that trusts an authority of its own, and shows a certificate where it has one.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { type RequestOptions, request as tlsRequest } from 'node:https'
import { Readable } from 'node:stream'
import { ApostilleError } from './apostille-error.ts'
import type { Fetch, FetchInit } from './ask.ts'

/** PEM files. */
export interface TlsFiles {
  /** Authorities that vouch for the server's certificate. */
  readonly caFile?: string
  /** The proof: an X.509-SVID, leaf first. */
  readonly certFile?: string
  readonly keyFile?: string
}

/** PEM. What is absent is left to Node. */
export interface TlsMaterial {
  readonly ca?: string | readonly string[]
  readonly cert?: string
  readonly key?: string
}

/** @param read Called for each request, as what it reads is replaced while the process runs. */
export function createHttpsFetch(read: () => TlsMaterial | Promise<TlsMaterial>): Fetch {
  return async (url, init) => {
    const { ca, ...own } = await read()
    return toResponse(await send(url, init, { ...own, ...(ca !== undefined && { ca: [ca].flat() }) }))
  }
}

/** @throws {ApostilleError} `files` */
export async function readTlsFiles({ caFile, certFile, keyFile }: TlsFiles): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all([caFile, certFile, keyFile].map(readOptional))
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }
}

async function readOptional(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new ApostilleError(`${file} can not be read`, { code: 'files', cause })
  }
}

function send(url: string, { method, headers, body, signal }: FetchInit, tls: RequestOptions) {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const start = url.startsWith('https:') ? tlsRequest : plainRequest
  start(url, { ...tls, method, headers, signal, agent: false }, resolve)
    .on('error', reject)
    .end(body)
  return promise
}

function toResponse(answer: IncomingMessage): Response {
  const headers = new Headers()
  for (const [name, values] of Object.entries(answer.headersDistinct))
    for (const value of values ?? []) headers.append(name, value)
  const status = answer.statusCode ?? 0
  const bodyless = status === 204 || status === 205 || status === 304
  if (bodyless) answer.resume()
  return new Response(bodyless ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>), { status, headers })
}
