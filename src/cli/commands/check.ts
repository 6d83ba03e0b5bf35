/**
 * `apostille check`
 *
 * @module
 */
import type { Command } from 'commander'
import { checkConfiguration } from '../../runtime/check.node.ts'
import { DocumentError } from '../../runtime/document-error.ts'
import { CliError } from '../cli-error.ts'
import { missingConfigurationHint } from '../dev-configuration.ts'
import { formatDiagnostics } from '../diagnostics.ts'
import { act, configOption, examples, type OperatorOptions, withOutput } from '../options.ts'

export function define(command: Command): void {
  command
    .description(
      'Check a configuration document: every mistake at once, with its line, and which files it names that are not there. Nothing is started. Ends with 1 when there is a mistake; warnings are none.',
    )
    .argument('[file]', 'the document (default: --config)')
  withOutput(command.addOption(configOption()))
  examples(command, 'check', 'check /etc/apostille/apostille.yaml', 'check --output json')
  act<OperatorOptions>(command, async (output, options, [file = options.config]) => {
    const { ok, digest, diagnostics, lines } = await check(file)
    output.result({ ok, file, document: digest ?? null, diagnostics }, () =>
      [...formatDiagnostics(file, diagnostics, lines), ok ? `${file} is good (document ${digest?.slice(0, 12)})` : '']
        .join('\n')
        .trimEnd(),
    )
    if (!ok) process.exitCode = 1
  })
}

async function check(file: string) {
  try {
    return await checkConfiguration(file)
  } catch (cause) {
    if (!(cause instanceof DocumentError)) throw cause
    const hint = cause.missing ? missingConfigurationHint() : undefined
    throw new CliError(cause.message, { code: 'configuration', ...(hint !== undefined && { hint }), cause })
  }
}
