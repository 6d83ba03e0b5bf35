/**
 * `apostille kv configure`
 *
 * @module
 */
import { Argument, type Command, Option } from 'commander'
import { usageError } from '../cli-error.ts'
import { act, examples } from '../options.ts'
import { openSecrets, parsePath, type SecretOptions, withSecrets } from '../secret-call.ts'
import { collectPairs, parseCount } from '../values.ts'

interface ConfigureOptions extends SecretOptions {
  readonly maxVersions?: number
  readonly casRequired?: 'true' | 'false'
  readonly metadata?: Readonly<Record<string, string>>
}

export function define(command: Command): void {
  command
    .description('Set what is kept of a secret; also before its first version. What is not named stays.')
    .addArgument(new Argument('<path>', 'such as payments/db').argParser(parsePath))
  withSecrets(command)
    .option('--max-versions <n>', 'versions that are kept, up to 100 (default: as before, at first 10)', parseCount)
    .addOption(
      new Option(
        '--cas-required <boolean>',
        'whether each write has to say which version it follows (default: as before, at first not)',
      ).choices(['true', 'false']),
    )
    .option(
      '--metadata <name=value>',
      'no secret; may be given again, and takes the place of all before (default: as before)',
      collectPairs,
    )
  examples(command, 'kv configure payments/db --max-versions 5 --cas-required true --metadata owner=payments')
  act<ConfigureOptions>(command, async (output, options, [path = '']) => {
    const { maxVersions, casRequired, metadata } = options
    const body = {
      ...(maxVersions !== undefined && { max_versions: maxVersions }),
      ...(casRequired !== undefined && { cas_required: casRequired === 'true' }),
      ...(metadata && { custom_metadata: metadata }),
    }
    if (Object.keys(body).length === 0)
      throw usageError('there is nothing to set', 'Give --max-versions, --cas-required or --metadata.')
    const call = await openSecrets(command, options)
    await call({ method: 'POST', folder: 'metadata', path, body })
    output.result({ path, ...body }, `Configured ${path}`)
  })
}
