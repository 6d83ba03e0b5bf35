/**
 * One HTTP or HTTPS request, with the authorities and the client certificate that a test wants.
 *
 * @module
 */

import { request as httpRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { text } from 'node:stream/consumers'

export interface Wanted {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly bearer?: string
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, string>>
  /** PEM. */
  readonly ca?: string
  /** PEM: a client certificate, leaf first. */
  readonly cert?: string
  readonly key?: string
  /** The name that the server's certificate has to have; that of the URL by default. */
  readonly servername?: string
  /** Of a Unix socket, which is plain HTTP. */
  readonly socketPath?: string
}

export interface Got {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The body as JSON; undefined when it is not. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of any form
  readonly json: any
}

export async function ask(url: string, wanted: Wanted = {}): Promise<Got> {
  const { bearer, json, form, headers, socketPath, ...tls } = wanted
  const body = json !== undefined ? JSON.stringify(json) : form && new URLSearchParams(form).toString()
  const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
  const options: RequestOptions = {
    method: body === undefined ? 'GET' : 'POST',
    ...tls,
    ...(socketPath !== undefined && { socketPath }),
    agent: false,
    headers: {
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      // Without its length Node sends no body with DELETE.
      ...(body !== undefined && { 'content-type': type, 'content-length': `${Buffer.byteLength(body)}` }),
      ...headers,
    },
  }
  const answered = Promise.withResolvers<Got>()
  const request = (socketPath === undefined && url.startsWith('https:') ? httpsRequest : httpRequest)(
    url,
    options,
    (response) => {
      text(response).then((content) => {
        const { statusCode = 0, headers: received } = response
        answered.resolve({ status: statusCode, headers: received, text: content, json: parse(content) })
      }, answered.reject)
    },
  )
  request.on('error', answered.reject)
  request.end(body)
  return answered.promise
}

function parse(content: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    return undefined
  }
}
