/**
 * JWT-SVIDs by audience, used again while they are fresh, and a `fetch` that shows them.
 *
 * @module
 */
import type { JwtSvidRequest } from './client.ts'
import { createJwtSvidSource, type FreshOptions } from './fresh-client.ts'
import type { JwtSvid } from './svid-answer.ts'

/** A `fetch`, of which no more is needed here. */
type PlainFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export interface JwtSource {
  /**
   * One that is good for a minute at least, unless its rule gives less. The gateway is asked when half of the time is over;
   * while it is away, the last one serves.
   *
   * @throws {ApostilleError}
   */
  readonly get: (request: string | JwtSvidRequest) => Promise<JwtSvid>
  /** A `fetch` whose requests show a token for `audience`. For one service: a token is no business of another. */
  readonly fetchAs: (audience: string, fetch?: PlainFetch) => PlainFetch
}

/** @throws {ApostilleError} `usage` */
export function createJwtSource(options: FreshOptions): JwtSource {
  const getFresh = createJwtSvidSource(options)
  const get: JwtSource['get'] = (request) => getFresh(typeof request === 'string' ? { audience: request } : request)
  return {
    get,
    fetchAs:
      (audience, fetch = globalThis.fetch) =>
      async (input, init) => {
        const { token } = await get(audience)
        const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
        headers.set('authorization', `Bearer ${token}`)
        return fetch(input, { ...init, headers })
      },
  }
}
