/**
 * `apostille reload`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { CliError } from '../cli-error.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { problemError } from '../problem.ts'

interface ReloadDocument {
  readonly applied: boolean
  readonly digest: string
  readonly problems: readonly {
    readonly line?: number
    readonly column?: number
    readonly path?: string
    readonly message: string
  }[]
}

export function define(command: Command): void {
  command.description(
    'Put a changed configuration into use, as a whole. One with mistakes is refused, and the one in use stays. A changed file is noticed without this, too.',
  )
  examples(withConfig(command), 'reload --config /etc/apostille/apostille.yaml')
  act<OperatorOptions>(command, async (output, options) => {
    const admin = await openAdmin(options)
    const { status, body } = await admin.ask<ReloadDocument | undefined>({ method: 'POST', path: '/v1/reload' })
    if (body?.digest === undefined) throw problemError(status, body, { who: 'operator' })
    if (!body.applied && output.format === 'text') throw refusal(options.config, body)
    output.result(body, () => describe(options.config, body))
    if (!body.applied) process.exitCode = 1
  })
}

function describe(file: string, { digest, problems }: ReloadDocument): string {
  return [`In use: ${file} (document ${digest.slice(0, 12)})`, ...formatProblems(file, problems)].join('\n')
}

function refusal(file: string, { problems }: ReloadDocument): CliError {
  return new CliError('the configuration was refused, the one in use stays', {
    code: 'configuration',
    details: formatProblems(file, problems).join('\n'),
    hint: 'Mend it and reload again; `check` shows each line.',
  })
}

function formatProblems(file: string, problems: ReloadDocument['problems']): readonly string[] {
  return problems.map(({ line, column, path, message }) =>
    [line === undefined ? file : `${file}:${line}:${column ?? 1}`, ...(path ? [path] : []), message].join(': '),
  )
}
