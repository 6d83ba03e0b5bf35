/**
 * Credentials of targets and JWT-SVIDs, asked of the server.
 *
 * @module
 */
import { setTimeout as pause } from 'node:timers/promises'
import { ApostilleError } from '../sdk/apostille-error.ts'
import { type CloudCredential, readCredential } from '../sdk/credential-answer.ts'
import { type JwtSvid, readJwtSvid } from '../sdk/svid-answer.ts'
import { CliError } from './cli-error.ts'
import type { WorkloadOptions } from './options.ts'
import { openServerWithProof, readJsonAnswer } from './server-call.ts'

export interface IdentityOptions extends WorkloadOptions {
  readonly spiffeId?: string
}

export interface TargetAnswer {
  readonly credential: CloudCredential
  /** As the server sent it. */
  readonly document: Readonly<Record<string, unknown>>
}

/** The proof is read anew each time. @throws {CliError} as {@link openServerWithProof}, `unexpected_answer` */
export async function fetchCredential(options: IdentityOptions, target: string): Promise<TargetAnswer> {
  const call = await openServerWithProof(options)
  const text = await unlessOverloaded(() => call({ method: 'GET', path: credentialPath(options, target) }))
  const document = readJsonAnswer<Readonly<Record<string, unknown>>>(text)
  return { document, credential: translate(() => readCredential(document)) }
}

/** Below the server's URL. */
export function credentialPath({ spiffeId }: IdentityOptions, target: string): string {
  const query = spiffeId === undefined ? '' : `?spiffe_id=${encodeURIComponent(spiffeId)}`
  return `/v1/credentials/${encodeURIComponent(target)}${query}`
}

/** @throws {CliError} as {@link openServerWithProof}, `unexpected_answer` */
export async function fetchJwtSvid(options: IdentityOptions, audience: string): Promise<JwtSvid> {
  const call = await openServerWithProof(options)
  const body = { audience: [audience], spiffe_id: options.spiffeId }
  const text = await unlessOverloaded(() => call({ method: 'POST', path: '/v1/svid/jwt', body }))
  return translate(() => readJwtSvid(readJsonAnswer(text)))
}

const maxAttempts = 5
const firstPauseMs = 500

/** Pods that start together are told to come back in a moment, and an SDK or a supervisor would take that for a failure. */
async function unlessOverloaded<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      const passes = error instanceof CliError && error.code === 'overloaded' && attempt < maxAttempts
      if (!passes) throw error
      await pause(Math.random() * firstPauseMs * 2 ** (attempt - 1))
    }
  }
}

function translate<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof ApostilleError)) throw cause
    throw new CliError(cause.message, { code: cause.code, cause })
  }
}
