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
