/**
 * Middleware for Express, and for whatever else calls `(request, response, next)`.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Caller, createCallerCheck, isRefusal, type SvidRequirement } from './caller.ts'

export type { Caller, SvidRequirement } from './caller.ts'

declare global {
  namespace Express {
    interface Request {
      /** Set by `requireSvid`. */
      caller?: Caller
    }
  }
}

type Next = (error?: unknown) => void

/**
 * Lets through whoever proves an identity that `authorize` takes, and puts it on the request: `request.caller`.
 *
 * @throws {ApostilleError} `usage`
 */
export function requireSvid(
  requirement: SvidRequirement,
): (request: IncomingMessage & { caller?: Caller }, response: ServerResponse, next: Next) => void {
  const check = createCallerCheck(requirement)
  return (request, response, next) => {
    check(request.headers.authorization, request.socket).then((outcome) => {
      if (isRefusal(outcome)) return void response.writeHead(outcome.status, outcome.headers).end(outcome.body)
      request.caller = outcome
      next()
    }, next)
  }
}
