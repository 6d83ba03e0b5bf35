/**
 * `apostille bundle`
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { writeFileWhole } from '../files.ts'
import { act, examples, type OperatorOptions, type ServerOptions, withOptionalServer } from '../options.ts'
import { openServer, readJsonAnswer } from '../server-call.ts'

interface BundleOptions extends OperatorOptions, Omit<ServerOptions, 'server'> {
  readonly server?: URL
  readonly format?: 'json' | 'pem'
  readonly out?: string
}

export function define(command: Command): void {
  command.description(
    'Show the trust bundle of the gateway: the keys that vouch for its SVIDs. Without --server it comes over the admin socket, which is how trust in a gateway with a certificate of its own begins. With --output json and --format pem it is {"pem": …}.',
  )
  withOptionalServer(command)
    .addOption(
      new Option(
        '--format <format>',
        'json: the SPIFFE bundle; pem: its X.509 authorities (default: json, but pem where --out ends in .pem or .crt)',
      ).choices(['json', 'pem']),
    )
    .option('--out <file>', 'write it to this file, mode 0644, by rename (default: standard output)')
  examples(
    command,
    'bundle --out ca.pem',
    'bundle --server https://id.example.org',
    'bundle --server https://id.example.org --format pem',
  )
  act<BundleOptions>(command, async (output, options) => {
    const format = options.format ?? (/\.(?:pem|crt)$/i.test(options.out ?? '') ? 'pem' : 'json')
    const text = await readBundle(options, `/v1/bundle?format=${format}`)
    const value = format === 'json' ? readJsonAnswer(text) : { pem: text }
    if (options.out === undefined) return output.result(value, text)
    await writeFileWhole(options.out, text, 0o644)
    output.result({ file: options.out }, `Wrote ${options.out}`)
  })
}

async function readBundle({ server, ...options }: BundleOptions, path: string): Promise<string> {
  if (server !== undefined) return (await openServer({ ...options, server }))({ method: 'GET', path })
  const admin = await openAdmin(options)
  const chunks = await Array.fromAsync(await admin.stream({ method: 'GET', path }))
  return Buffer.concat(chunks).toString('utf8')
}
