/**
 * `apostille proof gcp`
 *
 * @see {@link https://cloud.google.com/compute/docs/instances/verifying-instance-identity Instance identity tokens}
 * @module
 */
import type { Command } from 'commander'
import { CliError, usageError } from '../cli-error.ts'
import { type CloudProofOptions, deliverProof, findIssuer, outOption, readJwtProof } from '../cloud-proof.ts'
import { currentInvocation } from '../invocation.ts'
import { askMetadata, type MetadataAnswer, type MetadataCall } from '../metadata-call.ts'
import { act, examples, withDiscovery } from '../options.ts'

interface GcpProofOptions extends CloudProofOptions {
  readonly audience?: string
  readonly serviceAccount: string
}

export function define(command: Command): void {
  command.description(
    'Prove a Google service account, and the instance where there is one: Compute Engine, Cloud Run, Cloud Functions, GKE with workload identity.',
  )
  withDiscovery(command)
    .option('--audience <audience>', 'what the gateway takes (default: the issuer that --server says)')
    .option('--service-account <email>', 'which account of this machine', 'default')
    .option(...outOption)
  examples(
    command,
    'proof gcp --server https://id.example.org --out proof',
    `proof gcp --audience https://id.example.org | ${currentInvocation()} identities --server https://id.example.org --token-file -`,
  )
  act<GcpProofOptions>(command, async (output, options) => {
    const audience = await findIssuer(options, '--audience', options.audience)
    const call = callOf(audience, options, process.env)
    const answer = await askMetadata(call)
    checkAnswer(answer, call)
    await deliverProof(output, readJwtProof(answer.text, audience, call.url.host), options.out)
  })
}

function callOf(audience: string, { serviceAccount }: GcpProofOptions, env: NodeJS.ProcessEnv): MetadataCall {
  const account = encodeURIComponent(serviceAccount)
  const host = env['GCE_METADATA_HOST'] ?? 'metadata.google.internal'
  const url = URL.parse(`http://${host}/computeMetadata/v1/instance/service-accounts/${account}/identity`)
  if (url === null) throw usageError('GCE_METADATA_HOST is no host')
  url.searchParams.set('audience', audience)
  url.searchParams.set('format', 'full')
  return { url, cloud: 'Google Cloud', headers: { 'Metadata-Flavor': 'Google' } }
}

/** Names of hosts lead anywhere: only the real service says that it is one. */
function checkAnswer({ status, headers }: MetadataAnswer, { url }: MetadataCall): void {
  if (headers['metadata-flavor'] !== 'Google')
    throw new CliError(`${url.host} answered ${status}, and is not the metadata service`, {
      code: 'unexpected_answer',
      hint: 'It is there on machines of Google Cloud only. Elsewhere another proof is needed.',
    })
  if (status === 200) return
  throw new CliError(`the metadata service at ${url.host} answered ${status}`, {
    code: 'metadata_refused',
    hint: hints[status] ?? 'Try again in a moment.',
  })
}

const hints: Readonly<Record<number, string>> = {
  400: 'Check --audience and --service-account.',
  404: 'This machine has no such service account: name one with --service-account, or attach one.',
}
