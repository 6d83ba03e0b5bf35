/**
 * Questions to the metadata service of the machine that this runs on.
 *
 * No proxy is asked and no redirect followed: what answers is this machine's own, and what it says is a credential.
 *
 * @module
 */
import { type IncomingHttpHeaders, type IncomingMessage, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { CliError } from './cli-error.ts'

export interface MetadataCall {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Whose service it is, such as `Azure`. */
  readonly cloud: string
}

export interface MetadataAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

const deadlineMs = 10_000
const maxAnswerBytes = 64 * 1024

/** @throws {CliError} `metadata_unreachable`, `unexpected_answer` */
export async function askMetadata(call: MetadataCall): Promise<MetadataAnswer> {
  try {
    const response = await send(call)
    return { status: response.statusCode ?? 0, headers: response.headers, text: await readText(response, call) }
  } catch (error) {
    throw error instanceof CliError ? error : unreachable(call, error as NodeJS.ErrnoException)
  }
}

function send({ url, headers }: MetadataCall): Promise<IncomingMessage> {
  const start = url.protocol === 'https:' ? tlsRequest : plainRequest
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(deadlineMs)
    // An agent of its own is what no variable of the environment gives a proxy to.
    const request = start(url, { headers, agent: false, signal }, resolve)
    request.once('error', reject)
    request.end()
  })
}

async function readText(response: IncomingMessage, { url }: MetadataCall): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxAnswerBytes)
      throw new CliError(`${url.host} answered with more than ${maxAnswerBytes} bytes`, { code: 'unexpected_answer' })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function unreachable({ url, cloud }: MetadataCall, cause: NodeJS.ErrnoException): CliError {
  const late = cause.name === 'TimeoutError' || cause.name === 'AbortError'
  const why = late ? `none within ${deadlineMs / 1000} s` : (cause.code ?? cause.name)
  return new CliError(`no answer from the metadata service at ${url.host} (${why})`, {
    code: 'metadata_unreachable',
    hint: `It is there on machines of ${cloud} only. Elsewhere another proof is needed.`,
    cause,
  })
}
