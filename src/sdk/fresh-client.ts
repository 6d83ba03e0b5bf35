/**
 * A client that uses again what is fresh: what the adapters for the clouds' SDKs have in common.
 *
 * @module
 */
import { ApostilleError, isPassing } from './apostille-error.ts'
import { type Client, type ClientOptions, createClient } from './client.ts'
import type { AccessTokenCredential, AwsCredential, CloudCredential } from './credential-answer.ts'
import { createFreshKeeper, type JoinEqual } from './fresh.ts'
import type { JwtSvid } from './svid-answer.ts'

/** What is fresh is handed out again without a proof, so every `token` has to be one identity's. */
export interface FreshOptions extends ClientOptions {
  /** By default equal calls at the same time are not joined; `apostille/node` joins them. */
  readonly join?: JoinEqual
  /** Default: the clock of the runtime. */
  readonly now?: () => Date
}

export interface TargetOptions extends FreshOptions {
  /** Name of a target in the gateway's configuration. */
  readonly target: string
}

type CredentialOf<Type extends CloudCredential['type']> = Type extends 'aws' ? AwsCredential : AccessTokenCredential

/** The credential of a target, from the gateway or from before. @throws {ApostilleError} */
export function createCredentialSource<Type extends CloudCredential['type']>(
  options: TargetOptions,
  type: Type,
): () => Promise<CredentialOf<Type>> {
  const { target } = options
  const client = createClient(options)
  const keep = createFreshKeeper<CredentialOf<Type>>(freshDeps(options))
  return () =>
    keep(target, async () => {
      const credential = await client.getCredential(target)
      if (credential.type === type) return credential as CredentialOf<Type>
      throw new ApostilleError(`target ${target} is of type ${credential.type}, and not ${type}`, {
        code: 'unexpected_answer',
      })
    })
}

/** JWT-SVIDs by audience. @throws {ApostilleError} */
export function createJwtSvidSource(options: FreshOptions): Client['getJwtSvid'] {
  const client = createClient(options)
  const keep = createFreshKeeper<JwtSvid>(freshDeps(options))
  return (request) => keep(JSON.stringify(request), () => client.getJwtSvid(request))
}

/**
 * A refusal is heeded at once: what policy no longer grants is not handed out again. That our proof is not to be had now is
 * none.
 */
function freshDeps({ join, now = () => new Date() }: FreshOptions) {
  const mayServeOld = (error: unknown) =>
    error instanceof ApostilleError && (isPassing(error) || error.code === 'token')
  return { now, mayServeOld, ...(join && { join }) }
}
