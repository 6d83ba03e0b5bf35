/**
 * `apostille authority sign-intermediate`
 *
 * @module
 */
import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { makeKey, type NewKey, requestText } from '../../sdk/new-key.node.ts'
import { openAdmin } from '../admin-call.ts'
import { makeFolder, readTextFile, writeFileWhole } from '../files.ts'
import { act, examples, type OperatorOptions, withConfig, withRequired } from '../options.ts'
import { formatFields, formatMoment } from '../output.ts'
import { parseDuration } from '../values.ts'

interface SignOptions extends OperatorOptions {
  readonly out: string
  readonly ttl: number
  readonly pathLength: number
  readonly csr?: string
}

interface IntermediateDocument {
  readonly certificates: string
  readonly expires_at: string
  readonly signed_by: string
}

export function define(command: Command): void {
  command.description(
    'Sign an X.509 intermediate below our active authority, held to the URIs of our trust domain: for another issuer of it, such as a SPIRE server with a `disk` upstream authority. DIR gets intermediate.pem (0644), intermediate.key (0600, unless a CSR is given) and bundle.pem (0644). What it signs chains to our root; none of it can be renewed with us.',
  )
  withRequired(
    withConfig(command),
    new Option('--out <dir>', 'required: folder for the files; made when it is not there'),
  )
    .option('--csr <file>', 'PKCS#10 for a key of your own (default: a P-256 key is made here)')
    .addOption(
      new Option('--ttl <duration>', 'how long it lives, at most what is left of our authority')
        .argParser(parseDuration)
        .default(86_400, '1d'),
    )
    .addOption(
      new Option(
        '--path-length <n>',
        'how many authorities may stand below it: SPIRE needs 1, as it makes one of its own',
      )
        .argParser(parsePathLength)
        .default(1),
    )
  examples(command, 'authority sign-intermediate --out ./spire-upstream --ttl 30d')
  act<SignOptions>(command, async (output, options) => {
    const key = options.csr === undefined ? await makeKey('ec-p256') : undefined
    const csr =
      options.csr === undefined && key ? await requestText(key) : await readTextFile(options.csr ?? '', 'the CSR')
    const admin = await openAdmin(options)
    const body = { csr, ttl_seconds: options.ttl, path_length: options.pathLength }
    const signed = await admin.call<IntermediateDocument>({
      method: 'POST',
      path: '/v1/authorities/sign-intermediate',
      body,
    })
    const roots = await Array.fromAsync(await admin.stream({ method: 'GET', path: '/v1/bundle?format=pem' }))
    const files = await save(options.out, signed, key, Buffer.concat(roots).toString('utf8'))
    output.result({ ...files, expires_at: signed.expires_at, signed_by: signed.signed_by }, () =>
      formatFields([
        ['signed by', signed.signed_by],
        ['expires', formatMoment(new Date(signed.expires_at), new Date())],
        ['certificate', files.certificate],
        ...(files.key === undefined ? [] : ([['key', files.key]] as const)),
        ['bundle', files.bundle],
      ]),
    )
  })
}

function parsePathLength(text: string): number {
  if (/^[0-7]$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected a number from 0 to 7.')
}

async function save(folder: string, signed: IntermediateDocument, key: NewKey | undefined, roots: string) {
  const certificate = join(folder, 'intermediate.pem')
  const bundle = join(folder, 'bundle.pem')
  const keyFile = key && join(folder, 'intermediate.key')
  await makeFolder(folder)
  await writeFileWhole(bundle, roots, 0o644)
  if (key && keyFile)
    await writeFileWhole(keyFile, key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600)
  await writeFileWhole(certificate, signed.certificates, 0o644)
  return { certificate, bundle, ...(keyFile !== undefined && { key: keyFile }) }
}
