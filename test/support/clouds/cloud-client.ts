/**
 * Requests to a double, as no SDK would send them.
 *
 * @module
 */
import { send, type WireAnswer } from '../wire.ts'
import type { CloudServer } from './cloud-server.ts'

export interface CloudCall {
  readonly path?: string
  readonly method?: string
  /** What is undefined is left out. */
  readonly form?: Readonly<Record<string, string | undefined>>
  readonly json?: unknown
  /** A body as it is. */
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
}

export function call(server: Pick<CloudServer, 'port' | 'ca'>, wanted: CloudCall): Promise<WireAnswer> {
  const { path = '/', method = wanted.form || wanted.json !== undefined ? 'POST' : 'GET' } = wanted
  const target = {
    address: { kind: 'tcp', host: '127.0.0.1', port: server.port } as const,
    tls: { ca: server.ca, servername: 'localhost' },
  }
  const headers = { ...typeOf(wanted), ...wanted.headers }
  const body = bodyOf(wanted)
  return send(target, path, { method, headers, ...(body !== undefined && { body }) })
}

function typeOf({ form, json }: CloudCall): Readonly<Record<string, string>> {
  if (form) return { 'content-type': 'application/x-www-form-urlencoded' }
  return json === undefined ? {} : { 'content-type': 'application/json' }
}

function bodyOf({ form, json, text }: CloudCall): string | undefined {
  if (text !== undefined) return text
  if (json !== undefined) return JSON.stringify(json)
  if (!form) return undefined
  const present = Object.entries(form).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return new URLSearchParams(present).toString()
}
