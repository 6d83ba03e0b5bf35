/**
 * Requests for our own secrets: over the admin socket, or as a workload with its proof.
 *
 * @module
 */
import { type Command, InvalidArgumentError } from 'commander'
import { openAdmin } from './admin-call.ts'
import { CliError } from './cli-error.ts'
import { type OperatorOptions, type WorkloadOptions, withOptionalProof } from './options.ts'
import { openServerWithProof, readJsonAnswer } from './server-call.ts'

export interface SecretOptions extends OperatorOptions, Omit<WorkloadOptions, 'server'> {
  readonly server?: URL
  readonly spiffeId?: string
}

export interface SecretRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly folder: 'data' | 'metadata' | 'delete' | 'undelete' | 'destroy'
  /** Of a secret, or of a folder. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
}

/** The JSON of the answer; undefined of one that has none. @throws {CliError} */
export type CallSecrets = <Answer>(request: SecretRequest) => Promise<Answer>

export function withSecrets(command: Command): Command {
  return withOptionalProof(command).option(
    '--spiffe-id <id>',
    'with --server: which of the identities of the proof (default: the first)',
  )
}

/** A `--config` that was written out goes before a server that only a variable names. */
export async function openSecrets(command: Command, options: SecretOptions): Promise<CallSecrets> {
  const { server } = options
  const isOperator =
    command.getOptionValueSource('config') === 'cli' && command.getOptionValueSource('server') === 'env'
  if (server === undefined || isOperator) return callAdmin(options)
  const byVariable = command.getOptionValueSource('server') === 'env'
  const told = (error: unknown) => Promise.reject(byVariable ? tellOperators(error) : error)
  const open = await openServerWithProof({ ...options, server }).catch(told)
  const call: typeof open = (request) => open(request).catch(told)
  return async <Answer>({ method, folder, path, query, body }: SecretRequest) => {
    const search = formatQuery({ ...query, spiffe_id: options.spiffeId })
    const text = await call({ method, path: `${targetOf(folder, path)}${search}`, ...(body !== undefined && { body }) })
    return (text === '' ? undefined : readJsonAnswer<Answer>(text)) as Answer
  }
}

/** Whoever set the variable for something else may be the operator, who needs no proof. */
function tellOperators(error: unknown): unknown {
  if (!(error instanceof CliError) || !['usage', 'not_entitled', 'proof_rejected'].includes(error.code)) return error
  const { message, hint, code, requestId, exitCode } = error
  const more =
    'APOSTILLE_SERVER is set, so this asks as a workload. As the operator name the configuration: --config FILE'
  return new CliError(message, {
    code,
    exitCode,
    hint: hint === undefined ? more : `${hint}\n${more}`,
    ...(requestId !== undefined && { requestId }),
    cause: error,
  })
}

async function callAdmin(options: SecretOptions): Promise<CallSecrets> {
  const admin = await openAdmin(options)
  return ({ folder, path, ...request }) => admin.call({ ...request, path: targetOf(folder, path) })
}

function formatQuery(query: Readonly<Record<string, string | undefined>>): string {
  const pairs = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`
}

function targetOf(folder: string, path: string): string {
  return `/v1/kv/${folder}/${path}`
}

/** The gateway says the same; here, so that no URL is built of what is none. */
export function parsePath(text: string): string {
  if (!/^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/.test(text) || /(?:^|\/)\.\.?(?:\/|$)/.test(text))
    throw new InvalidArgumentError(
      'expected a path such as payments/db: letters, digits, dots, dashes and underscores, with slashes between.',
    )
  return text
}

/** Empty, or with a slash at its end or without. */
export function parseFolder(text: string): string {
  return text === '' ? '' : parsePath(text.replace(/\/$/, ''))
}

/** `1,2` or `1`, and again. */
export function collectVersions(text: string, before: readonly number[] = []): readonly number[] {
  const numbers = text.split(',').map((word) => (/^[1-9]\d{0,8}$/.test(word) ? Number(word) : 0))
  if (numbers.includes(0)) throw new InvalidArgumentError('expected numbers of versions, such as 3 or 1,2.')
  return [...before, ...numbers]
}

/** 0 or more. */
export function parseCas(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected the number of a version, or 0 for none.')
  return Number(text)
}

/** A version as answers tell of it. */
export interface VersionDocument {
  readonly created_time: string
  readonly deletion_time: string
  readonly destroyed: boolean
}

export interface MetadataDocument extends VersionDocument {
  readonly version: number
  readonly custom_metadata: Readonly<Record<string, string>> | null
}

/** What is not there is no error where nothing was to be expected. */
export function isNotFound(error: unknown): boolean {
  return error instanceof CliError && error.code === 'not_found'
}
