/**
 * `apostille trust aws|azure|gcp`
 *
 * @module
 */
import { type Command, Option } from 'commander'
import {
  ConfigurationUnusable,
  describeTrust,
  TargetSetupError,
  type TrustReport,
} from '../../runtime/target-setup.node.ts'
import { CliError, usageError } from '../cli-error.ts'
import { missingConfigurationHint } from '../dev-configuration.ts'
import { readTextFile } from '../files.ts'
import { asTyped, currentInvocation, quote } from '../invocation.ts'
import { act, configOption, examples, type OperatorOptions, withOutput } from '../options.ts'
import { createOutput, oneLine, style } from '../output.ts'
import { collect } from '../values.ts'

type Cloud = TrustReport['type']

interface TrustOptions extends OperatorOptions {
  readonly as?: readonly string[]
  readonly format: 'text' | 'terraform' | 'json'
  readonly managedIdentity?: true
  readonly jwksFile?: string
}

const clouds: Readonly<Record<Cloud, { readonly what: string; readonly example: string }>> = {
  aws: { what: 'AWS: the OIDC provider of the account and the trust policy of the role', example: 'payments-s3' },
  azure: { what: 'Azure: the federated credentials of the application or managed identity', example: 'payments-vault' },
  gcp: {
    what: 'Google Cloud: the workload identity pool, its provider with mapping and condition, and who may act as the service account',
    example: 'payments-bucket',
  },
}

export function define(command: Command): void {
  const cloud = command.name() as Cloud
  const { what, example } = clouds[cloud]
  command
    .description(
      `Print what to set up so that exactly this target works: issuer, audience and subjects to the letter. For ${what}. Nothing is changed here or there, and no gateway has to run.`,
    )
    .argument('<target>', `a target of type ${cloud} of the configuration`)
    .addOption(
      new Option(
        '--as <id>',
        'for a target that acts as its caller: a path or SPIFFE ID that may; again for each (default: those that the policies name)',
      ).argParser(collect),
    )
    .addOption(
      new Option('--format <format>', "text: the vendor's commands; terraform; json: the documents alone")
        .choices(['text', 'terraform', 'json'])
        .default('text'),
    )
  if (cloud === 'azure')
    command.option('--managed-identity', 'the client id is that of a managed identity (default: of an application)')
  if (cloud === 'gcp')
    command.option(
      '--jwks-file <file>',
      "the issuer's key set, as it serves it at /keys, for an issuer that Google can not reach; - is stdin (default: Google reads it over the internet)",
    )
  withOutput(command.addOption(configOption()))
  examples(
    command,
    `trust ${cloud} ${example}`,
    `trust ${cloud} ${example} --as /ns/payments/sa/api --format terraform > trust.tf`,
  )
  act<TrustOptions>(command, async (output, options, [target = '']) => {
    const report = await describe(cloud, target, options)
    const format = output.format === 'json' ? 'json' : options.format
    if (format !== 'json') for (const line of formatWarnings(report)) output.note(line)
    const { documents, warnings, script, terraform, ...facts } = report
    // `--format json` is `--output json` under the name that the formats have.
    createOutput(format === 'json' ? 'json' : 'text').result({ ...facts, ...documents, warnings }, () =>
      format === 'terraform' ? terraform : script,
    )
  })
}

async function describe(cloud: Cloud, target: string, options: TrustOptions): Promise<TrustReport> {
  const { config: configFile, as = [], managedIdentity = false, jwksFile } = options
  const uploaded = jwksFile === undefined ? {} : { keySet: await readTextFile(jwksFile, 'the key set') }
  try {
    return await describeTrust({ configFile, type: cloud, target, as, managedIdentity, ...uploaded })
  } catch (error) {
    if (error instanceof TargetSetupError) throw explain(error)
    if (!(error instanceof ConfigurationUnusable)) throw error
    const check = `See: ${currentInvocation()} check ${quote(configFile)}`
    const hint = error.missing ? missingConfigurationHint() : error.invalid ? check : undefined
    throw new CliError(error.message, { code: 'configuration', ...(hint !== undefined && { hint }), cause: error })
  }
}

/** What a flag or another command would mend is a mistake of usage. */
function explain({ code, message, hint }: TargetSetupError): CliError {
  const told = asTyped(hint)
  return code === 'target_unknown' ? new CliError(message, { code, hint: told }) : usageError(message, told)
}

function formatWarnings({ warnings }: TrustReport): readonly string[] {
  return warnings.map(({ severity, message, remedy }) => {
    const label = style(process.stderr, severity === 'error' ? 'red' : 'yellow', 'warning:')
    return `${label} ${oneLine(message)}\n  ${oneLine(asTyped(remedy))}`
  })
}
