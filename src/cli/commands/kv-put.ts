/**
 * `apostille kv put`
 *
 * @module
 */
import { Argument, type Command } from 'commander'
import { usageError } from '../cli-error.ts'
import { act, examples } from '../options.ts'
import {
  type MetadataDocument,
  openSecrets,
  parseCas,
  parsePath,
  type SecretOptions,
  withSecrets,
} from '../secret-call.ts'
import { readSecretValues } from '../secret-values.ts'

interface PutOptions extends SecretOptions {
  readonly cas?: number
  readonly json?: string
}

export function define(command: Command): void {
  command
    .description(
      `Write a version of a secret. It takes the place of the one before, with all of its keys.

Values:
  key=-        standard input, as it is: nothing of it is seen by others
  key=@FILE    a file, as it is
  key=value    seen by everybody who may list the processes of this machine, and kept in the history of the shell`,
    )
    .addArgument(new Argument('<path>', 'such as payments/db').argParser(parsePath))
    .addArgument(new Argument('[values...]', 'key=-, key=@FILE or key=value'))
  withSecrets(command)
    .option('--json <file>', 'all of the data: a file that holds a JSON object; - is standard input (default: key=…)')
    .option('--cas <n>', 'only if this version is the current one; 0: only if there is none (default: any)', parseCas)
  examples(
    command,
    'kv put payments/db password=- < password.txt',
    'kv put payments/tls key=@tls.key certificate=@tls.pem --cas 3',
    'kv put payments/db --json db.json --server https://id.example.org --token-file /var/run/token',
  )
  // Commander hands the words of a variadic argument on as one list.
  act<PutOptions>(command, async (output, options, [path = '', ...rest]) => {
    const words = rest.flat() as readonly string[]
    if (options.tokenFile === '-' && (options.json === '-' || words.some((word) => word.endsWith('=-'))))
      throw usageError('standard input is either the proof or a value: name a file for one of them')
    const { data, withLineEnd } = await readSecretValues(words, options.json)
    const call = await openSecrets(command, options)
    const body = { data, ...(options.cas !== undefined && { options: { cas: options.cas } }) }
    const answer = await call<{ readonly data: MetadataDocument }>({ method: 'POST', folder: 'data', path, body })
    output.result({ path, ...answer.data }, `Wrote version ${answer.data.version} of ${path}`)
    for (const key of withLineEnd)
      output.note(`${key} ends in a line end, as it came: where it should not, use printf, and not echo`)
  })
}
