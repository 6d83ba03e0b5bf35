/**
 * `apostille proof azure`
 *
 * @see {@link https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token Virtual machines}
 * @see {@link https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference App Service}
 * @module
 */
import { type Command, Option } from 'commander'
import { CliError } from '../cli-error.ts'
import { type CloudProofOptions, deliverProof, findIssuer, outOption, readJwtProof } from '../cloud-proof.ts'
import { currentInvocation } from '../invocation.ts'
import { askMetadata, type MetadataAnswer, type MetadataCall } from '../metadata-call.ts'
import { act, examples, withDiscovery } from '../options.ts'
import { oneLine } from '../output.ts'
import { readJsonAnswer } from '../server-call.ts'

interface AzureProofOptions extends CloudProofOptions {
  readonly audience?: string
  readonly clientId?: string
}

export function define(command: Command): void {
  command.description(
    'Prove an Azure managed identity: of a virtual machine, or where App Service, Functions or Container Apps set IDENTITY_ENDPOINT.',
  )
  withDiscovery(command)
    .option(
      '--audience <uri>',
      'Application ID URI that Entra knows and that the gateway takes, such as api://apostille (default: the issuer that --server says)',
    )
    .addOption(
      new Option(
        '--client-id <id>',
        'which user-assigned identity (default: the one of the system, or the only one)',
      ).env('AZURE_CLIENT_ID'),
    )
    .option(...outOption)
  examples(
    command,
    'proof azure --audience api://apostille --out proof',
    `proof azure --audience api://apostille | ${currentInvocation()} identities --server https://id.example.org --token-file -`,
  )
  act<AzureProofOptions>(command, async (output, options) => {
    const audience = await findIssuer(options, '--audience', options.audience)
    const call = callOf(audience, options, process.env)
    const answer = await askMetadata(call)
    if (answer.status !== 200) throw refusalOf(answer, call)
    const { access_token: token } = readJsonAnswer<{ readonly access_token?: unknown }>(answer.text)
    await deliverProof(output, readJwtProof(token, audience, call.url.host), options.out)
  })
}

const machineEndpoint = 'http://169.254.169.254'

/** What App Service sets goes first, as there is no metadata service of a machine then. */
function callOf(audience: string, { clientId }: AzureProofOptions, env: NodeJS.ProcessEnv): MetadataCall {
  const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: secret, AZURE_POD_IDENTITY_AUTHORITY_HOST: host } = env
  if (endpoint !== undefined && secret === undefined)
    throw new CliError('IDENTITY_ENDPOINT is set without IDENTITY_HEADER, as on servers of Azure Arc', {
      code: 'metadata_unreachable',
      hint: 'Managed identities of Azure Arc are not supported.',
    })
  const place =
    endpoint === undefined
      ? { text: `${host ?? machineEndpoint}/metadata/identity/oauth2/token`, version: '2018-02-01' }
      : { text: endpoint, version: '2019-08-01' }
  const url = URL.parse(place.text)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new CliError('IDENTITY_ENDPOINT or AZURE_POD_IDENTITY_AUTHORITY_HOST is no URL', {
      code: 'usage',
      exitCode: 2,
    })
  url.searchParams.set('api-version', place.version)
  url.searchParams.set('resource', audience)
  if (clientId !== undefined) url.searchParams.set('client_id', clientId)
  return { url, cloud: 'Azure', headers: secret === undefined ? { Metadata: 'true' } : { 'X-IDENTITY-HEADER': secret } }
}

function refusalOf({ status, text }: MetadataAnswer, { url }: MetadataCall): CliError {
  const { error, error_description: description } = readProblem(text)
  const said = [error, description].filter((part) => typeof part === 'string').join(': ')
  return new CliError(
    `the metadata service at ${url.host} answered ${status}${said === '' ? '' : `: ${oneLine(said).slice(0, 300)}`}`,
    {
      code: 'metadata_refused',
      hint: status === 429 || status >= 500 || status === 410 ? 'Try again in a moment.' : whatToCheck,
    },
  )
}

const whatToCheck =
  'Check that this machine has a managed identity (--client-id where there are several), and that --audience is the Application ID URI of an app registration.'

function readProblem(text: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(text) ?? {}) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}
