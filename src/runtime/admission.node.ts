/**
 * Sheds load before latency collapses: what would have to wait too long is told to come back.
 *
 * @module
 */
import type { ServerResponse } from 'node:http'
import { Refusal } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { problemAnswer } from '../http/problem.ts'

/** Requests that are being answered at one moment. At a hundred microseconds each the last one waits a tenth of a second. */
const maxInFlight = 1_000

/** Whether the request may be answered; one that may not has its answer already. */
export function createAdmission(telemetry: Telemetry) {
  let inFlight = 0
  return (response: ServerResponse, requestId: string): boolean => {
    if (inFlight >= maxInFlight) {
      telemetry.count('apostille_http_shed_total')
      const { status, headers, body } = problemAnswer(new Refusal('overloaded', 'too many requests at once'), requestId)
      response.writeHead(status, { ...headers, 'x-request-id': requestId })
      response.end(body)
      return false
    }
    inFlight += 1
    response.once('close', () => {
      inFlight -= 1
    })
    return true
  }
}
