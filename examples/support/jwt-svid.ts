/**
 * A JWT-SVID for one audience, for the token of the platform.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md JWT-SVID}
 * @module
 */
import { readFile } from 'node:fs/promises'
import { postJson } from './https-call.ts'

export interface JwtSvid {
  readonly spiffeId: string
  readonly token: string
  readonly expiresAt: Date
}

export interface JwtSvidOptions {
  readonly server: string
  readonly caFile: string
  readonly tokenFile: string
}

/** @throws {RefusedError} when no rule gives this workload a token for that audience */
export async function requestJwtSvid(options: JwtSvidOptions, audience: string): Promise<JwtSvid> {
  const [ca, token] = await Promise.all([readFile(options.caFile, 'utf8'), readFile(options.tokenFile, 'utf8')])
  const proof = { ca, headers: { authorization: `Bearer ${token.trim()}` } }
  const answer = (await postJson(`${options.server}/v1/svid/jwt`, { audience: [audience] }, proof)) as {
    readonly spiffe_id: string
    readonly token: string
    readonly expires_at: string
  }
  return { spiffeId: answer.spiffe_id, token: answer.token, expiresAt: new Date(answer.expires_at) }
}

/** What a token says; whether it is true, a verifier finds out. */
export function decodeToken(token: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}
