/**
 * What an SDK needs to know of a target that exchanges by itself: from flags, else from the configuration where it is at
 * hand.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { type Command, Option } from 'commander'
import type { AzureFacts, GoogleFacts, TargetFacts, TargetType } from '../runtime/target-facts.node.ts'
import { CliError, usageError } from './cli-error.ts'

/** Facts by flags. */
export interface FactOptions {
  readonly config?: string
  readonly provider?: string
  readonly serviceAccount?: string
  readonly tenant?: string
  readonly clientId?: string
  readonly authorityHost?: string
  readonly audience?: string
}

const defaultConfig = './apostille.yaml'

export function withFacts(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--config <file>',
        `google-adc, azure-env: document that says what the target is (default: ${defaultConfig}, where there is one)`,
      ).env('APOSTILLE_CONFIG'),
    )
    .option(
      '--provider <name>',
      'google-adc: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/NAME (default: by --config)',
    )
    .option('--service-account <address>', 'google-adc: service account to act as (default: by --config)')
    .option('--tenant <id>', 'azure-env: tenant (default: by --config)')
    .option('--client-id <id>', 'azure-env: application or managed identity (default: by --config)')
    .option('--authority-host <url>', 'azure-env: of another cloud (default: by --config, or the public one)')
    .option('--audience <audience>', "google-adc, azure-env: of the token (default: by --config, or the cloud's own)")
}

/** @throws {CliError} `usage`, `configuration` */
export async function findGoogleFacts(options: FactOptions, target: string): Promise<GoogleFacts> {
  const { provider, serviceAccount, audience } = options
  const known = provider === undefined ? await readConfigured(options, target, 'gcp', '--provider') : googleOf(provider)
  return {
    ...(known as GoogleFacts),
    ...(serviceAccount !== undefined && { serviceAccount }),
    ...(audience !== undefined && { audience }),
  }
}

const universe = 'googleapis.com'

function googleOf(text: string): GoogleFacts {
  const pattern =
    /^(?:(?:https:)?\/\/iam\.googleapis\.com\/)?(projects\/\d+\/locations\/global\/workloadIdentityPools\/[a-z0-9-]+\/providers\/[a-z0-9-]+)$/
  const provider = pattern.exec(text)?.[1]
  if (provider === undefined)
    throw usageError(
      '--provider: expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/NAME',
      'NUMBER is the number of the project, not its id.',
    )
  return { type: 'gcp', provider, universe, audience: `https://iam.${universe}/${provider}` }
}

/** @throws {CliError} `usage`, `configuration` */
export async function findAzureFacts(options: FactOptions, target: string): Promise<AzureFacts> {
  const given = azureOf(options)
  if (given) return given
  const known = (await readConfigured(options, target, 'azure', '--tenant and --client-id')) as AzureFacts
  const { tenant = known.tenant, clientId = known.clientId } = options
  const { audience = known.audience, authorityHost = known.authorityHost } = options
  return { type: 'azure', tenant, clientId, audience, authorityHost }
}

/** Undefined where the flags do not say enough. */
export function azureOf(options: FactOptions): AzureFacts | undefined {
  const { tenant, clientId } = options
  const { authorityHost = 'https://login.microsoftonline.com', audience = 'api://AzureADTokenExchange' } = options
  return tenant === undefined || clientId === undefined
    ? undefined
    : { type: 'azure', tenant, clientId, authorityHost, audience }
}

async function readConfigured(
  { config }: FactOptions,
  target: string,
  type: TargetType,
  flags: string,
): Promise<TargetFacts> {
  if (config === undefined && !existsSync(defaultConfig))
    throw usageError(
      `nothing says what target ${target} is at its cloud`,
      `Give ${flags}, or name the configuration that has it with --config FILE.`,
    )
  const { readTargetFacts } = await import('../runtime/target-facts.node.ts')
  const facts = await readTargetFacts(config ?? defaultConfig, target)
  if ('problem' in facts) {
    const hint = facts.targets?.length ? `It has: ${facts.targets.join(', ')}` : `Or give ${flags}.`
    throw new CliError(facts.problem, { code: 'configuration', hint })
  }
  if (facts.type !== type) throw wrongType(target, facts.type)
  return facts
}

/** Which formats there are, and for what. */
export const formatsByType: Readonly<Record<TargetType, readonly string[]>> = {
  aws: ['text', 'json', 'env', 'process', 'container'],
  azure: ['text', 'json', 'env', 'azure-env'],
  gcp: ['text', 'json', 'env', 'google-adc'],
}

export function wrongType(target: string, type: TargetType): CliError {
  return usageError(
    `--format: target ${target} is of type ${type}, and that format is for another`,
    `Formats for it: ${formatsByType[type].join(', ')}`,
  )
}
