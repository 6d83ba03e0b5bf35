/**
 * `apostille explain`
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { usageError } from '../cli-error.ts'
import { type ExplanationDocument, formatExplanation } from '../explanation.ts'
import { readTextFile } from '../files.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { readToken } from '../server-call.ts'
import { collect } from '../values.ts'

const operations = ['x509_svid', 'jwt_svid', 'exchange', 'read', 'write'] as const

interface ExplainOptions extends OperatorOptions {
  readonly tokenFile?: string
  readonly certFile?: string
  readonly authenticator?: string
  readonly operation?: (typeof operations)[number]
  readonly audience?: readonly string[]
  readonly target?: string
  readonly path?: string
  readonly spiffeId?: string
  readonly address?: string
  readonly all?: true
}

/** Of what does not apply, the nearest are what helps. */
const shownMisses = 5

export function define(command: Command): void {
  command
    .description(
      'Say which rule and which policy grant or refuse something, and what each comparison in them came to: for a proof and what is asked for with it, or for a request that was made, by its request id. The running gateway decides, as it would for the workload, and gives nothing. Of a proof it shows what records may hold, and what the rules read. Ends with 0 whatever the decision is.',
    )
    .argument('[request-id]', 'of a request that is on record (default: a proof is explained)')
  withConfig(command)
    .addOption(
      new Option('--token-file <file>', 'the proof: a file that holds a token; - is standard input').env(
        'APOSTILLE_TOKEN_FILE',
      ),
    )
    .option('--cert-file <file>', 'the proof: PEM of an X.509-SVID, leaf first; its key is not needed')
    .option('--authenticator <name>', 'only this authenticator may take the proof (default: any)')
    .addOption(
      new Option(
        '--operation <name>',
        'what is asked for (default: jwt_svid with --audience, exchange with --target, read with --path, else x509_svid)',
      ).choices(operations),
    )
    .option('--audience <name>', 'of a JWT-SVID; may be given again (default: none)', collect)
    .option('--target <name>', 'of an exchange (default: none)')
    .option('--path <path>', 'of a secret (default: none)')
    .option('--spiffe-id <id>', 'the identity that is asked for (default: the first that the proof has)')
    .option(
      '--address <ip>',
      'where the request comes from (default: not known, so that a forbid that reads it forbids)',
    )
    .option('--all', 'show every rule and policy that does not apply (default: the nearest five of each)')
  examples(
    command,
    'explain --token-file token --audience https://api.example.org',
    'explain --token-file token --target payments-s3 --address 10.1.2.3',
    'explain 6f1c2d3e4a5b6c7d8e9f0a1b',
  )
  act<ExplainOptions>(command, async (output, options, [requestId]) => {
    const body = await bodyOf(options, requestId)
    const admin = await openAdmin(options)
    const explained = await admin.call<{ readonly items: readonly ExplanationDocument[] }>({
      method: 'POST',
      path: '/v1/explain',
      body,
    })
    const most = options.all ? Number.POSITIVE_INFINITY : shownMisses
    output.result(explained, () => explained.items.map((item) => formatExplanation(item, most)).join('\n\n'))
  })
}

async function bodyOf(options: ExplainOptions, requestId: string | undefined) {
  if (requestId !== undefined) return { request_id: requestId }
  const { authenticator, audience, target, path, address } = options
  return {
    ...(await proofOf(options)),
    operation: options.operation ?? operationOf(options),
    authenticator,
    audience,
    target,
    path,
    spiffe_id: options.spiffeId,
    address,
  }
}

async function proofOf({ tokenFile, certFile }: ExplainOptions) {
  if (certFile !== undefined) return { certificates: await readTextFile(certFile, 'the certificate') }
  if (tokenFile !== undefined) return { token: await readToken(tokenFile) }
  throw usageError(
    'there is nothing to explain',
    'Give a request id, or a proof with --token-file FILE (- is standard input) or --cert-file FILE.',
  )
}

function operationOf({ audience, target, path }: ExplainOptions): (typeof operations)[number] {
  if (target !== undefined) return 'exchange'
  if (path !== undefined) return 'read'
  return audience === undefined ? 'x509_svid' : 'jwt_svid'
}
