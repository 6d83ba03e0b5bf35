/**
 * The part of the configuration that says where secrets go: stores of clouds, each reached by the exchange of a target.
 *
 * @module
 */
import * as z from 'zod'
import { durationField } from './config-fields.ts'

const path = z.string().min(1).max(4096)
const targetName = z.string().min(1).max(63)
const tags = z.record(z.string().min(1).max(512), z.string().max(1024)).default({})
const region = z.string().regex(/^[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}$/, 'expected a region such as eu-west-1')

const httpsUrl = z
  .url({ protocol: /^https$/, error: 'expected an https URL' })
  .refine(isPlainUrl, { error: 'expected a URL without user, path, query and fragment' })

function isPlainUrl(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && [url.username, url.password, url.search, url.hash].join('') === '' && url.pathname === '/'
}

const common = {
  /** Name of the target whose exchange gives the credential. */
  target: targetName,
  /** Operations at a time. */
  concurrency: z.int().min(1).max(256).optional(),
  /** Writing requests a second; default: what the cloud's quota lets through with room for others. */
  writes_per_second: z.number().min(0.1).max(10_000).optional(),
  /** Reading requests a second, pages of listings among them. */
  reads_per_second: z.number().min(0.1).max(10_000).optional(),
  /** For an endpoint that is not the cloud's public one. */
  endpoint: httpsUrl.optional(),
  ca_file: path.optional(),
}

/**
 * How often every secret of ours is looked at by itself, for what a listing there does not show: one or two reading requests
 * for each. Default: never.
 */
const lookClosely = durationField.optional()

const kmsKey = z.string().min(1).max(2048)

const awsSecretsManager = z.strictObject({
  type: z.literal('aws-secrets-manager'),
  /** Default: the target's. */
  region: region.optional(),
  /** Id, ARN or alias; default: the account's `aws/secretsmanager`. */
  kms_key: kmsKey.optional(),
  /** Region to the KMS key there; null is the default key. */
  replica_regions: z.record(region, kmsKey.nullable()).default({}),
  tags,
  /** How long a deleted secret can be had back. */
  recovery_window: durationField
    .refine((seconds) => seconds >= 7 * 86_400 && seconds <= 30 * 86_400, { error: 'expected 7d to 30d' })
    .refine((seconds) => seconds % 86_400 === 0, { error: 'expected whole days, as AWS counts them' })
    .default(30 * 86_400),
  /** What becomes of a write whose name a deleted secret of ours still has. */
  on_scheduled_deletion: z.enum(['restore', 'wait', 'fail']).default('restore'),
  ...common,
})

const azureKeyVault = z.strictObject({
  type: z.literal('azure-key-vault'),
  /** Such as `https://payments.vault.azure.net`. */
  vault_url: httpsUrl,
  tags,
  content_type: z.string().min(1).max(255).optional(),
  /** Whether a deleted secret of ours is had back when its name is written again. */
  recover: z.boolean().default(true),
  look_closely: lookClosely,
  ...common,
})

const gcpSecretManager = z.strictObject({
  type: z.literal('gcp-secret-manager'),
  project: z
    .string()
    .regex(/^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]|\d{1,20})$/, 'expected the id or the number of a project'),
  /** A region makes the secrets regional; then there is no replication to choose. */
  location: z
    .string()
    .regex(/^[a-z]+-[a-z]+\d{1,2}$/, 'expected a region such as europe-west1')
    .optional(),
  replication: z
    .union([z.literal('automatic'), z.strictObject({ locations: z.array(z.string().min(1)).min(1) })], {
      error: 'expected automatic, or {locations: [REGION, …]}',
    })
    .optional(),
  /** Full name of a key; for several locations a map of them. */
  kms_key: z.union([kmsKey, z.record(z.string(), kmsKey)]).optional(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string().max(1024)).default({}),
  /** Whether versions that a newer one replaced are destroyed, as those that are not are billed. */
  destroy_old_versions: z.boolean().default(false),
  look_closely: lookClosely,
  ...common,
})

export const destinationSchema = z.discriminatedUnion('type', [awsSecretsManager, azureKeyVault, gcpSecretManager])

export type AwsDestinationDocument = z.output<typeof awsSecretsManager>
export type AzureDestinationDocument = z.output<typeof azureKeyVault>
export type GcpDestinationDocument = z.output<typeof gcpSecretManager>
export type DestinationDocument = z.output<typeof destinationSchema>
export type DestinationType = DestinationDocument['type']
