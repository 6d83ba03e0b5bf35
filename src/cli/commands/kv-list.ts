/**
 * `apostille kv list`
 *
 * @module
 */
import { Argument, type Command } from 'commander'
import { act, examples } from '../options.ts'
import { isNotFound, openSecrets, parseFolder, type SecretOptions, withSecrets } from '../secret-call.ts'
import { parseCount } from '../values.ts'

interface ListOptions extends SecretOptions {
  readonly limit: number
  readonly after?: string
}

interface ListDocument {
  readonly data: { readonly keys: readonly string[] }
  readonly next: string | null
}

const nothing: ListDocument = { data: { keys: [] }, next: null }

export function define(command: Command): void {
  command
    .description('List the secrets and folders of a folder. Folders end in a slash.')
    .addArgument(new Argument('[folder]', 'such as payments/ (default: the topmost)').argParser(parseFolder))
  withSecrets(command)
    .option('--limit <n>', 'at most this many, up to 1000', parseCount, 100)
    .option('--after <next>', 'go on after this one: `next` of the list before (default: from the first)')
  examples(command, 'kv list', 'kv list payments/ --output json')
  act<ListOptions>(command, async (output, { limit, after, ...options }, [folder = '']) => {
    const call = await openSecrets(command, options)
    const query = { list: 'true', limit: String(limit), after }
    const { data, next } = await call<ListDocument>({ method: 'GET', folder: 'metadata', path: folder, query }).catch(
      (error: unknown) => {
        if (isNotFound(error)) return nothing
        throw error
      },
    )
    output.result({ keys: data.keys, next }, data.keys.join('\n'))
    if (data.keys.length === 0) output.note('There are no secrets.')
    if (next !== null) output.note(`There are more: --after ${next}`)
  })
}
