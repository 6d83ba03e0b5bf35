/**
 * A session at a Vault server: who we are is proven with a JWT-SVID, and again before what Vault gives for it ends.
 *
 * A token of Vault is not renewed but had anew: that is one call as well, needs no right to renew, works for batch tokens
 * and those with a longest life, and a role that is taken away is noticed.
 *
 * @module
 */
import type { JoinEqual } from '../../core/cloud.ts'
import type { HttpAnswer, HttpClient, HttpRequest } from '../http-client.ts'
import { explained, explainLogin, explainNo, isTokenRefused, readFrom, type Wanted } from './vault-refusal.ts'
import { buildLogin, buildRevocation, readLogin, type VaultPlace } from './vault-wire.ts'

export interface VaultSessionDeps {
  readonly request: HttpClient['request']
  /** A JWT-SVID for the login, which is on record. @throws {SourceError} */
  readonly signToken: () => Promise<string>
  readonly joinEqual: JoinEqual
  readonly now: () => Date
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
}

export interface VaultSession {
  /**
   * Sends a request with a token, and with a new one when Vault does not take the held one. Answers success, or 404, which
   * means several things.
   *
   * @throws {SourceError}
   */
  readonly ask: (build: (token: string) => HttpRequest, wanted: Wanted, signal: AbortSignal) => Promise<HttpAnswer>
  /** Gives the token back, which would be good for some time yet. */
  readonly close: () => Promise<void>
}

interface HeldToken {
  readonly token: string
  /** When the next one is had. */
  readonly untilMs: number
}

/** Of its life: enough is left for a request that is under way. */
const usedShare = 2 / 3

export function createVaultSession(place: VaultPlace, deps: VaultSessionDeps): VaultSession {
  let held: HeldToken | undefined

  async function logIn(): Promise<HeldToken> {
    const jwt = await deps.signToken()
    const begunMs = deps.monotonicMs()
    const answer = await send(buildLogin(place, jwt))
    if (answer.status !== 200) throw explainLogin(answer, { place, secrets: [jwt], now: deps.now() })
    const { token, lifeMs = Number.POSITIVE_INFINITY } = readFrom(answer, place, readLogin)
    held = { token, untilMs: begunMs + lifeMs * usedShare }
    return held
  }

  function currentToken(refused?: string): HeldToken | Promise<HeldToken> {
    if (held !== undefined && held.token !== refused && deps.monotonicMs() < held.untilMs) return held
    return deps.joinEqual('login', logIn)
  }

  async function send(request: HttpRequest): Promise<HttpAnswer> {
    try {
      return await deps.request(request)
    } catch (error) {
      throw explained(error, place)
    }
  }

  return {
    async ask(build, wanted, signal) {
      let { token } = await currentToken()
      let answer = await send({ ...build(token), signal })
      if (isTokenRefused(answer)) {
        token = (await currentToken(token)).token
        answer = await send({ ...build(token), signal })
      }
      if (answer.status === 200 || answer.status === 404) return answer
      throw explainNo(answer, wanted, { place, secrets: [token], now: deps.now() })
    },
    async close() {
      const { token } = held ?? {}
      held = undefined
      // It ends by itself too, so that nobody has to hear of a server that is away.
      if (token !== undefined) await deps.request(buildRevocation(place, token)).catch(() => undefined)
    },
  }
}
