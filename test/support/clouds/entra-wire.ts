/**
 * How Microsoft Entra ID refuses: RFC 6749, with the codes of AADSTS beside.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { CloudAnswer } from './cloud-server.ts'

export interface EntraProblem {
  readonly status: number
  readonly error: string
  /** Of AADSTS, without these letters. */
  readonly code: number
  readonly message: string
}

export function refusal(error: string, code: number, message: string): EntraProblem {
  return { status: error === 'invalid_client' ? 401 : 400, error, code, message }
}

/** @param correlationId the client's own, where it sent one */
export function formatEntraProblem(
  { status, error, code, message }: EntraProblem,
  now: Date,
  correlationId: string = randomUUID(),
): CloudAnswer {
  const traceId = randomUUID()
  const timestamp = `${now.toISOString().slice(0, 19).replace('T', ' ')}Z`
  const tail = `Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`
  const body = {
    error,
    error_description: `AADSTS${code}: ${message} ${tail}`,
    error_codes: [code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `https://login.microsoftonline.com/error?code=${code}`,
  }
  return { status, headers: headersOf(traceId), body: JSON.stringify(body) }
}

export function formatEntraAnswer(members: Readonly<Record<string, unknown>>): CloudAnswer {
  return { status: 200, headers: headersOf(randomUUID()), body: JSON.stringify(members) }
}

function headersOf(requestId: string): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store, no-cache',
    'x-ms-request-id': requestId,
  }
}
