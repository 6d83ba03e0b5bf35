/**
 * `apostille restore`
 *
 * @module
 */
import type { Command } from 'commander'
import { RestoreError, readRestore, restoreStore } from '../../runtime/restore.node.ts'
import { explainStartFailure } from '../../runtime/start-failure.node.ts'
import { CliError, usageError } from '../cli-error.ts'
import { currentInvocation, quote } from '../invocation.ts'
import { act, configOption, examples, type OperatorOptions, withOutput } from '../options.ts'
import { formatFields, formatTime } from '../output.ts'
import { isAtTerminal, openQuestions } from '../questions.ts'

interface RestoreOptions extends OperatorOptions {
  readonly keepOldTrust?: boolean
}

export function define(command: Command): void {
  command
    .description(
      'Make a store out of a backup, where there is none. The gateway makes new authorities in it, as others may have the keys of the old ones. Whether what those signed stays trusted is asked on a terminal, and said by a flag elsewhere. Join tokens have no use left. What came after the backup is not in it.',
    )
    .argument('<file>', 'as `backup` wrote it')
    .option(
      '--keep-old-trust',
      'old authorities stay in the bundle until what they signed has expired (default: asked on a terminal)',
    )
    .option(
      '--no-keep-old-trust',
      'nothing that they signed is a proof any more: every workload proves itself anew (default: asked on a terminal)',
    )
  withOutput(command.addOption(configOption('configuration document; it names the store and the seal key')))
  examples(
    command,
    'restore apostille.backup',
    'restore apostille.backup --keep-old-trust --config /etc/apostille/apostille.yaml --output json',
  )
  act<RestoreOptions>(command, async (output, options, [backupFile = '']) => {
    // What the library takes for the default of a pair of flags is no answer.
    const given = command.getOptionValueSource('keepOldTrust') === 'cli' ? options.keepOldTrust : undefined
    const request = { configFile: options.config, backupFile, env: process.env }
    const report = await orExplain(backupFile, async () => {
      const { facts } = await readRestore(request)
      const keepTrust = given ?? (await askTrust(options, facts.at))
      return { ...(await restoreStore({ ...request, keepTrust })), keepTrust }
    })
    const { store, trustDomain, backupAt, joinTokensVoided, sequence, authorities, keepTrust } = report
    const made = authorities.filter(({ state }) => state !== 'retiring')
    const result = {
      store,
      trust_domain: trustDomain,
      backup_at: backupAt.toISOString(),
      old_authorities_trusted: keepTrust,
      join_tokens_voided: joinTokensVoided,
      bundle_sequence: sequence,
      authorities: authorities.map(({ id, ring, state }) => ({ id, ring, state })),
    }
    output.result(result, () =>
      formatFields([
        ['store', store],
        ['backup of', formatTime(backupAt)],
        ['new authorities', made.map(({ ring, state }) => `${ring} (${state})`).join(', ')],
        ['old ones', keepTrust ? 'trusted until what they signed has expired' : 'not trusted any more'],
        ['join tokens', joinTokensVoided === 1 ? '1 voided' : `${joinTokensVoided} voided`],
        ['bundle sequence', String(sequence)],
      ]),
    )
    output.note(`Start it with: ${currentInvocation()} serve --config ${quote(options.config)}`)
  })
}

async function askTrust({ output }: RestoreOptions, backupAt: Date): Promise<boolean> {
  if (output === 'json' || !isAtTerminal())
    throw usageError(
      'whether the old authorities stay trusted is to be said: there is no terminal to ask on',
      'Give --keep-old-trust, or --no-keep-old-trust where their keys may be in wrong hands.',
    )
  const questions = openQuestions()
  try {
    return await questions.confirm(
      `The backup is of ${formatTime(backupAt)}. New authorities are made. Shall what the old ones signed stay trusted until it has expired? Say no where their keys may be in wrong hands; every workload then proves itself anew.`,
    )
  } finally {
    questions.close()
  }
}

async function orExplain<T>(backupFile: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof RestoreError) throw new CliError(cause.message, { code: 'store', cause })
    const { code, path } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' && path === backupFile)
      throw new CliError(`there is no backup at ${backupFile}`, { code: 'file', cause })
    const failure = explainStartFailure(cause)
    if (failure === undefined) throw cause
    throw new CliError(failure.message, { code: failure.code, cause })
  }
}
