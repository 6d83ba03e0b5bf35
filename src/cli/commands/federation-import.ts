/**
 * `apostille federation import`
 *
 * @module
 */
import { dirname, join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { ProtocolError } from '../../protocol/errors.ts'
import { parseTrustDomain, type TrustDomain } from '../../protocol/spiffe-id.ts'
import { parseTrustBundle } from '../../protocol/trust-bundle.ts'
import { convertToTrustBundle } from '../../protocol/trust-bundle-conversion.ts'
import { openAdmin } from '../admin-call.ts'
import { CliError } from '../cli-error.ts'
import { makeFolder, readTextFile, writeFileWhole } from '../files.ts'
import { act, examples, type OperatorOptions, withConfig, withRequired } from '../options.ts'
import { formatFields } from '../output.ts'
import { collect } from '../values.ts'

interface ImportOptions extends OperatorOptions {
  readonly from: readonly string[]
  readonly out?: string
  readonly load?: true
}

export function define(command: Command): void {
  command
    .description(
      'Make the first bundle of a trust domain from what its operators gave you: a SPIFFE bundle, PEM certificates, or a JWK Set. It is written to trust-bundles/<trust-domain>.json beside the configuration, which `federation.<trust-domain>.bundle` names.',
    )
    .argument('<trust-domain>', 'whose bundle it is', parseName)
  withRequired(
    withConfig(command),
    new Option(
      '--from <file>',
      'required: SPIFFE JSON, PEM or JWK Set; - is standard input; may be given several times, such as for PEM and JWKS',
    ).argParser(collect),
  )
    .option('--out <file>', 'where to write it (default: trust-bundles/<trust-domain>.json beside the configuration)')
    .option('--load', 'also give it to the running gateway, in place of what it holds (default: only write the file)')
  examples(
    command,
    'federation import spire.example --from bundle.json',
    'federation import spire.example --from roots.pem --from jwks.json --load',
  )
  act<ImportOptions>(command, async (output, options, args) => {
    const name = args[0] as TrustDomain
    const bundle = await convert(name, options.from)
    const file = options.out ?? join(dirname(options.config), 'trust-bundles', `${name}.json`)
    if (options.out === undefined) await makeFolder(dirname(file))
    await writeFileWhole(file, `${bundle.document}\n`, 0o644)
    if (options.load) await load(options, name, bundle.document)
    const { x509Authorities, jwtAuthorities } = bundle
    const keys = { x509_authorities: x509Authorities, jwt_authorities: jwtAuthorities }
    output.result({ trust_domain: name, file, ...keys, loaded: options.load === true }, () =>
      formatFields([
        ['trust domain', name],
        ['keys', `${x509Authorities} X.509, ${jwtAuthorities} JWT`],
        ['file', file],
        ['loaded', options.load ? 'yes' : 'no: the gateway reads it at start and at reload'],
      ]),
    )
  })
}

function parseName(text: string): TrustDomain {
  try {
    return parseTrustDomain(text)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new InvalidArgumentError('expected the name of a trust domain, such as spire.example.')
  }
}

async function convert(trustDomain: TrustDomain, files: readonly string[]) {
  const texts = await Promise.all(files.map((file) => readTextFile(file, 'the bundle')))
  try {
    const document = convertToTrustBundle(trustDomain, texts)
    const { x509Authorities, jwtAuthorities } = parseTrustBundle(trustDomain, document)
    return { document, x509Authorities: x509Authorities.length, jwtAuthorities: jwtAuthorities.length }
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new CliError(`no bundle can be made of ${files.join(', ')}: ${cause.message}`, {
      code: 'malformed_bundle',
      hint: 'A SPIFFE bundle (JSON with keys), PEM certificates, or a JWK Set is expected',
      cause,
    })
  }
}

async function load(options: ImportOptions, name: string, bundle: string): Promise<void> {
  const admin = await openAdmin(options)
  await admin.call({ method: 'POST', path: `/v1/federation/${encodeURIComponent(name)}/import`, body: { bundle } })
}
