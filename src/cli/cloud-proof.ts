/**
 * Proofs of identity that clouds give to their workloads: whom one is for, and where it goes.
 *
 * @module
 */
import { ProtocolError } from '../protocol/errors.ts'
import { parseIssuer } from '../protocol/oidc-discovery.ts'
import { CliError, usageError } from './cli-error.ts'
import { writeFileWhole } from './files.ts'
import type { OutputOptions } from './options.ts'
import { formatFields, formatMoment, type Output } from './output.ts'
import { openServer, readJsonAnswer } from './server-call.ts'

export interface CloudProofOptions extends OutputOptions {
  readonly server?: URL
  readonly caFile?: string
  readonly out?: string
}

export interface CloudProof {
  readonly token: string
  /** Whom it is for. */
  readonly audience: string
  /** Absent where it can not be read. */
  readonly expiresAt?: Date
}

export const outOption = [
  '--out <file>',
  'write the proof to this file, mode 0600, by rename (default: standard output)',
] as const

/**
 * The issuer of the gateway that the proof is for.
 *
 * @param given By the flag `flag`, to which no server need be asked.
 * @throws {CliError} `usage`, `unexpected_answer`, or as {@link openServer}
 */
export async function findIssuer(options: CloudProofOptions, flag: string, given?: string): Promise<string> {
  if (given !== undefined) return given
  const { server, caFile, output } = options
  if (server === undefined)
    throw usageError(
      'nobody is named whom the proof is for',
      `Name the gateway with --server URL (APOSTILLE_SERVER), or what it takes with ${flag}.`,
    )
  const call = await openServer({ server, output, ...(caFile !== undefined && { caFile }) })
  const answer = await call({ method: 'GET', path: '/.well-known/openid-configuration' })
  return checkIssuer(readJsonAnswer<{ readonly issuer?: unknown }>(answer).issuer, server)
}

function checkIssuer(issuer: unknown, server: URL): string {
  try {
    return parseIssuer(String(issuer))
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new CliError(`${server.origin} does not say its issuer: ${cause.detail}`, {
      code: 'unexpected_answer',
      hint: 'Check that --server names the gateway itself.',
      cause,
    })
  }
}

/** The bare token for pipes and files; everything but it for people. */
export async function deliverProof(output: Output, proof: CloudProof, out: string | undefined): Promise<void> {
  const { token, audience, expiresAt } = proof
  const described = { audience, ...(expiresAt !== undefined && { expires_at: expiresAt.toISOString() }) }
  const fields = (file?: string) =>
    formatFields([
      ['for', audience],
      ['expires', expiresAt && formatMoment(expiresAt, new Date())],
      ['proof', file],
    ])
  if (out === undefined) {
    output.result({ token, ...described }, token)
    if (process.stdout.isTTY) output.note(`\n${fields()}`)
    return
  }
  await writeFileWhole(out, `${token}\n`, 0o600)
  output.result({ ...described, file: out }, () => fields(out))
}

/** Whom a JWT is for, and until when: for showing only, as nothing is verified. @throws {CliError} `unexpected_answer` */
export function readJwtProof(token: unknown, audience: string, host: string): CloudProof {
  const text = String(token).trim()
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text))
    throw new CliError(`the answer of ${host} holds no token`, { code: 'unexpected_answer' })
  const exp = readExpiry(text.split('.')[1] ?? '')
  return { token: text, audience, ...(exp !== undefined && { expiresAt: new Date(exp * 1000) }) }
}

function readExpiry(part: string): number | undefined {
  try {
    const { exp } = JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as { readonly exp?: unknown }
    return Number.isSafeInteger(exp) ? (exp as number) : undefined
  } catch {
    return undefined
  }
}
