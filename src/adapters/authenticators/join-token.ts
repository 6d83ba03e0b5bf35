/**
 * Join tokens: made by the operator, good for a number of granted requests, for workloads that have no identity yet.
 *
 * A look only: the use is spent where the record of the granted request is written, in the same atomic write.
 *
 * @module
 */
import type { Authentication, Authenticator, Proof } from '../../core/authenticate.ts'
import type { JoinTokenConfig } from '../../core/config-authenticators.ts'
import { Refusal } from '../../core/refusal.ts'
import type { Store, StoredJoinToken } from '../../core/store.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { digestJoinToken } from '../../protocol/join-token.ts'

export interface JoinTokenDeps {
  readonly store: Pick<Store, 'findJoinToken'>
}

export function createJoinTokenAuthenticator(config: JoinTokenConfig, deps: JoinTokenDeps): Authenticator {
  async function authenticate(proof: Proof, now: Date): Promise<Authentication> {
    // Found by its digest: how long the look-up takes says nothing of the token itself.
    const token = await deps.store.findJoinToken(readDigest(proof))
    if (token === undefined) throw rejected('there is no such join token')
    checkJoinToken(token, config.name, now)

    const { id, name, attributes } = token
    return {
      identity: {
        authenticator: config.name,
        type: 'join_token',
        attributes: { name, attributes },
        recorded: { id, name, attributes },
        use: { kind: 'join_token', id },
      },
    }
  }

  const owns = async (proof: Proof) =>
    (await deps.store.findJoinToken(readDigest(proof)))?.authenticator === config.name
  return { name: config.name, type: 'join_token', accepts: { joinTokens: true }, owns, authenticate }
}

function rejected(reason: string, cause?: unknown): Refusal {
  return new Refusal('proof_rejected', reason, cause === undefined ? {} : { cause })
}

function readDigest(proof: Proof): Uint8Array {
  if (proof.kind !== 'bearer') throw rejected('the proof is a certificate, not a token')
  try {
    return digestJoinToken(proof.token)
  } catch (cause) {
    if (cause instanceof ProtocolError) throw rejected(`the proof is no join token (${cause.detail})`, cause)
    throw cause
  }
}

function checkJoinToken(token: StoredJoinToken, authenticator: string, now: Date): void {
  const { id, revokedAt, expiresAt, usesLeft } = token
  if (token.authenticator !== authenticator)
    throw rejected(`join token ${id} is for authenticator ${token.authenticator}`)
  if (revokedAt !== undefined) throw rejected(`join token ${id} was revoked at ${revokedAt.toISOString()}`)
  if (expiresAt <= now)
    throw rejected(`join token ${id} expired at ${expiresAt.toISOString()}, now is ${now.toISOString()}`)
  if (usesLeft <= 0) throw rejected(`join token ${id} has no use left`)
}
