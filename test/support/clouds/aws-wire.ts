/**
 * How STS answers: XML of the AWS Query protocol, or JSON for who accepts that.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { CloudAnswer } from './cloud-server.ts'

/** A refusal of STS. `Type` on the wire follows from the status. */
export interface AwsProblem {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** Of an answer: in order, nested; what is undefined is left out. */
export interface AwsMembers {
  readonly [name: string]: string | number | Date | AwsMembers | undefined
}

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/'

export function formatAwsResult(action: string, result: AwsMembers, asJson: boolean): CloudAnswer {
  const requestId = randomUUID()
  const members = { [`${action}Result`]: result, ResponseMetadata: { RequestId: requestId } }
  const body = asJson
    ? JSON.stringify({ [`${action}Response`]: jsonOf(members) })
    : `<${action}Response xmlns="${namespace}">\n${xmlOf(members)}</${action}Response>\n`
  return { status: 200, headers: headersOf(requestId, asJson), body }
}

export function formatAwsProblem({ status, code, message }: AwsProblem, asJson: boolean, rule?: string): CloudAnswer {
  const requestId = randomUUID()
  const error = { Type: status < 500 ? 'Sender' : 'Receiver', Code: code, Message: message }
  const body = asJson
    ? JSON.stringify({ Error: error, RequestId: requestId })
    : `<ErrorResponse xmlns="${namespace}">\n${xmlOf({ Error: error, RequestId: requestId })}</ErrorResponse>\n`
  return { status, headers: headersOf(requestId, asJson), body, ...(rule !== undefined && { refusedBy: rule }) }
}

function headersOf(requestId: string, asJson: boolean) {
  return { 'x-amzn-requestid': requestId, 'content-type': asJson ? 'application/json' : 'text/xml' }
}

function xmlOf(members: AwsMembers): string {
  return Object.entries(members)
    .map(([name, value]) => (value === undefined ? '' : `<${name}>${xmlValue(value)}</${name}>\n`))
    .join('')
}

function xmlValue(value: string | number | Date | AwsMembers): string {
  if (value instanceof Date) return formatSeconds(value)
  return typeof value === 'object' ? `\n${xmlOf(value)}` : escapeXml(String(value))
}

/** JSON has times as seconds since the epoch. */
function jsonOf(members: AwsMembers): Readonly<Record<string, unknown>> {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([name, value]) => [name, jsonValue(value)]))
}

function jsonValue(value: AwsMembers[string]): unknown {
  if (value instanceof Date) return Math.floor(value.getTime() / 1000)
  return typeof value === 'object' ? jsonOf(value) : value
}

function formatSeconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '')
}
