/**
 * A hook for Fastify.
 *
 * @module
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Caller, createCallerCheck, isRefusal, type SvidRequirement } from './caller.ts'

export type { Caller, SvidRequirement } from './caller.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `requireSvid`. */
    caller?: Caller
  }
}

/**
 * Lets through whoever proves an identity that `authorize` takes, and puts it on the request: `request.caller`.
 *
 *     app.addHook('onRequest', requireSvid({ … }))
 *
 * @throws {ApostilleError} `usage`
 */
export function requireSvid(
  requirement: SvidRequirement,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  const check = createCallerCheck(requirement)
  return async (request, reply) => {
    const outcome = await check(request.headers.authorization, request.raw.socket)
    if (isRefusal(outcome)) return reply.code(outcome.status).headers(outcome.headers).send(outcome.body)
    request.caller = outcome
    return undefined
  }
}
