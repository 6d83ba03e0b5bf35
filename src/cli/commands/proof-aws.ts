/**
 * `apostille proof aws`
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { ProtocolError } from '../../protocol/errors.ts'
import { parseIssuer } from '../../protocol/oidc-discovery.ts'
import { formatPresignedIdentity, presignedLifeSeconds, stsHostOfRegion } from '../../protocol/presigned-identity.ts'
import { signIdentity } from '../aws-signature.ts'
import { CliError, usageError } from '../cli-error.ts'
import { type CloudProof, type CloudProofOptions, deliverProof, findIssuer, outOption } from '../cloud-proof.ts'
import { currentInvocation } from '../invocation.ts'
import { act, examples, withDiscovery } from '../options.ts'
import { oneLine } from '../output.ts'

interface AwsProofOptions extends CloudProofOptions {
  readonly issuer?: string
  readonly region?: string
  readonly profile?: string
  readonly endpoint?: string
}

export function define(command: Command): void {
  command.description(
    'Prove an AWS role or user, with the credentials that AWS SDKs find. The proof is a request to STS that is signed for this gateway alone, and that the gateway sends. It is good once, for 15 minutes.',
  )
  withDiscovery(command)
    .option('--issuer <url>', 'issuer of the gateway (default: the one that --server says)')
    .option('--region <region>', 'region of STS (default: that of the environment or the profile)')
    .option('--profile <name>', 'profile of the shared AWS configuration (default: that of the environment)')
    .addOption(
      new Option('--endpoint <url>', 'the endpoint of STS that the gateway asks (default: the public one)').env(
        'AWS_ENDPOINT_URL_STS',
      ),
    )
    .option(...outOption)
  examples(
    command,
    'proof aws --server https://id.example.org --out proof',
    `proof aws --issuer https://id.example.org --region eu-west-1 | ${currentInvocation()} identities --server https://id.example.org --token-file -`,
  )
  act<AwsProofOptions>(command, async (output, options) => {
    const issuer = readIssuer(await findIssuer(options, '--issuer', options.issuer))
    await deliverProof(output, await makeProof(options, issuer), options.out)
  })
}

function readIssuer(text: string): string {
  try {
    return parseIssuer(text)
  } catch (cause) {
    if (cause instanceof ProtocolError) throw usageError(`--issuer is no issuer: ${cause.detail}`)
    throw cause
  }
}

async function makeProof(options: AwsProofOptions, issuer: string): Promise<CloudProof> {
  const { accessKeyId, secretAccessKey, sessionToken, expiration, region } = await findCredentials(options)
  const signedAt = new Date(Math.floor(Date.now() / 1000) * 1000)
  const identity = {
    host: hostOf(options, region),
    accessKeyId,
    region,
    signedAt,
    // What clients of EKS write, and STS takes no notice of.
    expiresSeconds: 60,
    ...(sessionToken !== undefined && { securityToken: sessionToken }),
  }
  const ends = signedAt.getTime() + presignedLifeSeconds * 1000
  return {
    token: formatPresignedIdentity(signIdentity(identity, issuer, secretAccessKey)),
    audience: issuer,
    expiresAt: new Date(Math.min(ends, expiration?.getTime() ?? ends)),
  }
}

function hostOf({ endpoint }: AwsProofOptions, region: string): string {
  if (endpoint !== undefined) {
    const url = URL.parse(endpoint)
    if (url?.protocol !== 'https:') throw usageError('--endpoint: expected an https URL')
    return url.host
  }
  const host = stsHostOfRegion(region)
  if (host === undefined) throw usageError(`--region: ${oneLine(region)} is no region of AWS that has a public STS`)
  return host
}

/** The default chain of the AWS SDK: environment, profiles, SSO, web identity, containers, instances. */
async function findCredentials({ region, profile }: AwsProofOptions) {
  const { STSClient } = await import('@aws-sdk/client-sts')
  const { config } = new STSClient({
    ...(region !== undefined && { region }),
    ...(profile !== undefined && { profile }),
  })
  try {
    const found = await config.region()
    return { ...(await config.credentials()), region: found }
  } catch (cause) {
    throw translate(cause)
  }
}

function translate(cause: unknown): CliError {
  const { message } = cause as Error
  if (/region is missing/i.test(message))
    return usageError('no region is named', 'Name one with --region REGION (AWS_REGION), or in the profile.')
  return new CliError(`no AWS credentials: ${oneLine(message).slice(0, 300)}`, {
    code: 'credentials',
    hint: 'They come from the environment, --profile NAME (AWS_PROFILE), or the role of the instance, task or pod.',
    cause,
  })
}
