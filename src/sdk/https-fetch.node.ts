/**
 * `fetch` that trusts an authority of its own, and shows a certificate where it has one.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { type RequestOptions, request as tlsRequest } from 'node:https'
import { Readable } from 'node:stream'
import type { Fetch, FetchInit } from './ask.ts'

/** PEM files. */
export interface TlsFiles {
  /** Authorities that vouch for the server's certificate. */
  readonly caFile?: string
  /** The proof: an X.509-SVID, leaf first. */
  readonly certFile?: string
  readonly keyFile?: string
}

/** The files are read for each request, as they are replaced while the process runs. */
export function createHttpsFetch({ caFile, certFile, keyFile }: TlsFiles): Fetch {
  return async (url, init) => {
    const [ca, cert, key] = await Promise.all([caFile, certFile, keyFile].map(readOptional))
    const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
    return toResponse(await send(url, init, tls))
  }
}

async function readOptional(file: string | undefined): Promise<Buffer | undefined> {
  return file === undefined ? undefined : readFile(file)
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
