/**
 * Credentials of targets and JWT-SVIDs, asked of the server.
 *
 * @module
 */
import { ApostilleError } from '../sdk/apostille-error.ts'
import { type CloudCredential, type JwtSvid, readCredential, readJwtSvid } from '../sdk/credential-answer.ts'
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
  const text = await call({ method: 'GET', path: credentialPath(options, target) })
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
  const text = await call({ method: 'POST', path: '/v1/svid/jwt', body })
  return translate(() => readJwtSvid(readJsonAnswer(text)))
}

function translate<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof ApostilleError)) throw cause
    throw new CliError(cause.message, { code: cause.code, cause })
  }
}
