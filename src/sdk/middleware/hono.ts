/**
 * Middleware for Hono, wherever it runs; certificates on Node only.
 *
 * @module
 */
import type { MiddlewareHandler } from 'hono'
import { type Caller, createCallerCheck, isRefusal, type SvidRequirement } from './caller.ts'

export type { Caller, SvidRequirement } from './caller.ts'

/** What `c.get` knows behind {@link requireSvid}. */
export interface CallerEnv {
  readonly Variables: { readonly caller: Caller }
}

/**
 * Lets through whoever proves an identity that `authorize` takes, and puts it on the context: `c.get('caller')`.
 *
 * @throws {ApostilleError} `usage`
 */
export function requireSvid(requirement: SvidRequirement): MiddlewareHandler<CallerEnv> {
  const check = createCallerCheck(requirement)
  return async (c, next) => {
    const { incoming } = (c.env ?? {}) as { readonly incoming?: { readonly socket: object } }
    const outcome = await check(c.req.header('authorization'), incoming?.socket)
    if (isRefusal(outcome)) return c.body(outcome.body, outcome.status, { ...outcome.headers })
    c.set('caller', outcome)
    return next()
  }
}
