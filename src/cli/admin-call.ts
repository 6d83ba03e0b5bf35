/**
 * Requests of an operator: over the admin socket that the configuration names.
 *
 * @module
 */
import { basename, dirname, resolve } from 'node:path'
import {
  type AdminClient,
  type AdminRequest,
  AdminSocketError,
  AdminUnreachable,
  createAdminClient,
  readAdminSocketPath,
} from '../runtime/admin-client.node.ts'
import { CliError } from './cli-error.ts'
import { missingConfigurationHint } from './dev-configuration.ts'
import { currentInvocation, quote } from './invocation.ts'
import type { OperatorOptions } from './options.ts'
import { problemError } from './problem.ts'

export interface Admin {
  /** The JSON of an answer of 200 or 201; undefined of one of 204. */
  readonly call: <Answer>(request: AdminRequest) => Promise<Answer>
  /** The JSON of any answer, for those that mean something beside success. */
  readonly ask: <Answer>(request: AdminRequest) => Promise<{ readonly status: number; readonly body: Answer }>
  readonly stream: (request: AdminRequest) => Promise<AsyncIterable<Buffer>>
}

/** @throws {CliError} `configuration` when there is no such document */
export async function openAdmin({ config }: Pick<OperatorOptions, 'config'>): Promise<Admin> {
  const client = createAdminClient(await socketPath(config))
  const ask: Admin['ask'] = async <Answer>(request: AdminRequest) => {
    const { status, body } = await reach(client, config, () => client.call(request))
    return { status, body: body as Answer }
  }
  return {
    ask,
    async call<Answer>(request: AdminRequest) {
      const { status, body } = await ask<Answer>(request)
      if (![200, 201, 204].includes(status)) throw problemError(status, body, { who: 'operator' })
      return body
    },
    async stream(request) {
      const { status, chunks } = await reach(client, config, () => client.stream(request))
      const guarded = guard(client, config, chunks)
      if (status !== 200) throw problemError(status, await readProblem(guarded), { who: 'operator' })
      return guarded
    },
  }
}

async function readProblem(chunks: AsyncIterable<Buffer>): Promise<unknown> {
  try {
    return JSON.parse(Buffer.concat(await Array.fromAsync(chunks)).toString('utf8')) as unknown
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

async function socketPath(config: string): Promise<string> {
  try {
    return await readAdminSocketPath(config)
  } catch (cause) {
    if (!(cause instanceof AdminSocketError)) throw cause
    const hint = cause.missing ? missingConfigurationHint() : undefined
    throw new CliError(cause.message, { code: 'configuration', ...(hint !== undefined && { hint }), cause })
  }
}

async function reach<T>(client: AdminClient, config: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof AdminUnreachable ? explain(error, client, config) : error
  }
}

async function* guard(client: AdminClient, config: string, chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  try {
    yield* chunks
  } catch (error) {
    throw error instanceof AdminUnreachable ? explain(error, client, config) : error
  }
}

function explain(cause: AdminUnreachable, { socketPath }: AdminClient, config: string): CliError {
  if (cause.reason === 'not_running')
    return new CliError(`the gateway is not running: nothing listens on ${socketPath}`, {
      code: 'not_running',
      hint: `Start it with: ${currentInvocation()} ${startCommand(config)}`,
      cause,
    })
  if (cause.reason === 'not_allowed')
    return new CliError(`this user may not open ${socketPath}`, {
      code: 'not_allowed',
      hint: 'Run this as the user that the gateway runs as.',
      cause,
    })
  return new CliError(`the gateway broke the connection to ${socketPath} off`, {
    code: 'broken_off',
    hint: 'Look at its log, and try again.',
    cause,
  })
}

/** What lies in a folder of `dev` is refused by `serve`. */
function startCommand(config: string): string {
  const folder = dirname(resolve(config))
  return basename(folder) === '.apostille' ? `dev --dir ${quote(folder)}` : `serve --config ${quote(config)}`
}
