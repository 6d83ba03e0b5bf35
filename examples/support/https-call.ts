/**
 * One HTTPS request over a connection of its own.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import { type RequestOptions, request } from 'node:https'
import type { TLSSocket } from 'node:tls'

export interface HttpsAnswer {
  readonly status: number
  readonly text: string
  /** What the server showed. */
  readonly certificate: X509Certificate | undefined
}

/** TLS options as Node has them: `ca`, `cert`, `key`, `checkServerIdentity` … */
export interface HttpsCall extends RequestOptions {
  readonly body?: string
}

const deadlineMs = 10_000

/** Rejects when the connection or the handshake fails, or nothing was answered in 10 seconds. */
export function callHttps(url: string, { body, ...options }: HttpsCall): Promise<HttpsAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpsAnswer>()
  const signal = AbortSignal.timeout(deadlineMs)
  const sent = request(url, { agent: false, signal, ...options }, async (answer) => {
    try {
      const certificate = (answer.socket as TLSSocket).getPeerX509Certificate()
      const text = await readText(answer)
      resolve({ status: answer.statusCode ?? 0, text, certificate })
    } catch (error) {
      reject(error)
    }
  })
  sent.on('error', reject)
  sent.end(body)
  return promise
}

async function readText(answer: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of answer) chunks.push(chunk)
  return Buffer.concat(chunks).toString().trim()
}

/** What Apostille answered to a JSON body. @throws {RefusedError} when it says no */
export async function postJson(url: string, value: object, options: RequestOptions): Promise<unknown> {
  const headers = { ...options.headers, 'content-type': 'application/json' }
  const { status, text } = await callHttps(url, { ...options, method: 'POST', headers, body: JSON.stringify(value) })
  if (status !== 200) throw new RefusedError(status, text)
  return JSON.parse(text)
}

/** Apostille understood and said no: RFC 9457 problem details tell what, never why. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly status: number

  constructor(status: number, text: string) {
    super(`Apostille answered ${status}: ${titleOf(text)}`)
    this.status = status
  }
}

function titleOf(text: string): string {
  try {
    return String((JSON.parse(text) as { readonly title?: unknown }).title)
  } catch {
    return 'no problem document'
  }
}
