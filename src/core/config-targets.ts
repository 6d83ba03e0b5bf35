/**
 * The part of the configuration that says what an identity can be exchanged for: roles, applications and service accounts
 * of clouds.
 *
 * @module
 */
import * as z from 'zod'
import type { SignatureAlgorithm } from '../protocol/algorithms.ts'
import { durationField } from './config-fields.ts'
import type { Found } from './config-source.ts'

const path = z.string().min(1).max(4096)
const httpsUrl = z
  .url({ protocol: /^https$/, error: 'expected an https URL' })
  .refine(isPlainUrl, { error: 'expected a URL without user, query and fragment' })
const template = z.string().min(1).max(2048)

/** For an endpoint that is not the cloud's public one. */
const endpointKeys = { ca_file: path.optional() }

const common = {
  /** Path or SPIFFE ID of ours; default: the caller's identity. */
  acts_as: z.string().min(1).max(2048).optional(),
  /** Share of a credential's life during which it is handed out again. */
  reuse: z.number().min(0.1).max(0.9).default(0.7),
  ...endpointKeys,
}

const roleArn = z
  .string()
  .max(2048)
  .regex(
    /^arn:(?:aws|aws-cn|aws-us-gov|aws-eusc|aws-iso(?:-[a-z])?):iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/,
    'expected the ARN of a role, such as arn:aws:iam::123456789012:role/payments',
  )

/** In UTF-16 units, inline policy and ARNs together. */
const maxSessionPolicy = 2048

/** `aws:` is for keys of AWS itself. */
const tagKey = z
  .string()
  .regex(
    /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu,
    'expected a tag key: 1 to 128 letters, digits, spaces and _.:/=+-@, which does not begin with aws:',
  )

const sessionPolicy = z.union(
  [
    z.string().min(2).max(maxSessionPolicy).refine(isJsonObject, { error: 'expected a JSON object' }),
    z.record(z.string(), z.unknown()).transform((policy) => JSON.stringify(policy)),
  ],
  { error: 'expected a policy, as a map or as JSON text' },
)

const aws = z.strictObject({
  type: z.literal('aws'),
  role_arn: roleArn,
  region: z.string().regex(/^[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}$/, 'expected a region such as eu-west-1'),
  audience: z.string().min(1).max(255).default('sts.amazonaws.com'),
  session_name: template.optional(),
  session_duration: durationField.default(3600),
  session_policy: sessionPolicy.optional(),
  session_policy_arns: z
    .array(z.string().regex(/^arn:[a-z-]+:iam::(?:\d{12}|aws):policy\/.+$/))
    .max(10)
    .default([]),
  tags: z.record(tagKey, template).default({}),
  transitive_tags: z.array(z.string()).default([]),
  source_identity: z.boolean().default(false),
  algorithm: z.enum(['ES256', 'ES384', 'RS256']).optional(),
  endpoint: httpsUrl.optional(),
  ...common,
})

const uuid = z
  .string()
  .regex(
    /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
    'expected an id such as 11111111-2222-3333-4444-555555555555',
  )

const azure = z.strictObject({
  type: z.literal('azure'),
  tenant: z
    .string()
    .regex(/^(?=.{1,253}$)[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*$/, 'expected the id or the domain of a tenant'),
  client_id: uuid,
  scopes: z
    .array(z.string().regex(/^\S+\/\.default$/, 'expected a scope that ends in /.default'))
    .length(1)
    .default(['https://management.azure.com/.default']),
  audience: z.string().min(1).max(600).default('api://AzureADTokenExchange'),
  authority_host: httpsUrl.default('https://login.microsoftonline.com'),
  ...common,
})

const providerPattern =
  /^(?:(?:https:)?\/\/iam\.[a-z0-9.-]+\/)?(projects\/\d+\/locations\/global\/workloadIdentityPools\/[a-z][a-z0-9-]{2,30}[a-z0-9]\/providers\/[a-z][a-z0-9-]{2,30}[a-z0-9])$/

const gcp = z.strictObject({
  type: z.literal('gcp'),
  provider: z
    .string()
    .regex(
      providerPattern,
      'expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, with the number of the project, not its id',
    )
    .transform((text) => providerPattern.exec(text)?.[1] ?? text),
  audience: z.string().min(1).max(256).optional(),
  scopes: z.array(z.url()).min(1).default(['https://www.googleapis.com/auth/cloud-platform']),
  service_account: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]*@[a-z0-9.-]+$/, 'expected the address of a service account')
    .optional(),
  lifetime: durationField.optional(),
  universe: z
    .string()
    .regex(/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/, 'expected a domain such as googleapis.com')
    .default('googleapis.com'),
  algorithm: z.enum(['ES256', 'RS256']).optional(),
  token_url: httpsUrl.optional(),
  impersonation_url: httpsUrl.optional(),
  ...common,
})

export const targetSchema = z.discriminatedUnion('type', [aws, azure, gcp])

export type AwsTargetDocument = z.output<typeof aws>
export type AzureTargetDocument = z.output<typeof azure>
export type GcpTargetDocument = z.output<typeof gcp>
export type TargetDocument = z.output<typeof targetSchema>
export type TargetType = TargetDocument['type']

function isPlainUrl(text: string): boolean {
  const url = URL.parse(text)
  return url === null || [url.username, url.password, url.search, url.hash].every((part) => part === '')
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

const defaultLifetimeSeconds = 3600

/** Of the access tokens of the service account. */
export function lifetimeSecondsOf({ lifetime = defaultLifetimeSeconds }: GcpTargetDocument): number {
  return lifetime
}

/** The audience of the tokens that are exchanged for this target. */
export function audienceOf(target: TargetDocument): string {
  return target.audience ?? gcpAudience(target as GcpTargetDocument)
}

/** Google takes the provider's full name, with or without `https:`, where the provider lists no audience of its own. */
function gcpAudience({ provider, universe }: GcpTargetDocument): string {
  return `https://iam.${universe}/${provider}`
}

/** Audiences that are good for this target at its cloud, all of which must be written out in a rule. */
export function audiencesOf(target: TargetDocument): readonly string[] {
  if (target.type !== 'gcp') return [target.audience]
  const name = gcpAudience(target)
  return [...(target.audience === undefined ? [] : [target.audience]), name, name.slice('https:'.length)]
}

interface TargetSurroundings {
  readonly issuer?: string | undefined
  readonly targets: ReadonlyMap<string, TargetDocument>
  readonly authorities?: { readonly jwt: { readonly algorithms: readonly SignatureAlgorithm[] } } | undefined
}

const minAwsDurationSeconds = 900
const maxDurationSeconds = 12 * 3600

/** What the keys of a target mean to each other and to the rest. */
export function findTargetProblems({ targets, issuer, authorities }: TargetSurroundings): readonly Found[] {
  return [...targets].flatMap(([name, target]) => {
    const at = (key: string, message: string): Found => ({ path: ['targets', name, key], message })
    const own = [...findOwnAudience(target, issuer, at), ...findProblemsOfType(target, at)]
    if (authorities === undefined || algorithmOf(target, authorities.jwt.algorithms) !== undefined) return own
    const asked = target.type === 'azure' ? undefined : target.algorithm
    const taken = asked ?? takenBy[target.type].join(' or ')
    const message = `its tokens are ${taken}, which authorities.jwt.algorithms does not list: list it there`
    return [...own, at(asked === undefined ? 'type' : 'algorithm', message)]
  })
}

/** What each cloud documents that it takes, of what we can sign with. */
const takenBy = {
  aws: ['ES256', 'ES384', 'RS256'],
  azure: ['RS256'],
  gcp: ['ES256', 'RS256'],
} as const satisfies Record<TargetType, readonly SignatureAlgorithm[]>

/** What tokens for the target are signed with: what it asks for, or the first of ours that its cloud takes. */
export function algorithmOf(
  target: TargetDocument,
  ours: readonly SignatureAlgorithm[],
): SignatureAlgorithm | undefined {
  const asked = target.type === 'azure' ? undefined : target.algorithm
  return ours.find((algorithm) => (asked === undefined ? takesAlgorithm(target, algorithm) : algorithm === asked))
}

/** Whether its cloud takes tokens that are signed so. */
export function takesAlgorithm({ type }: TargetDocument, algorithm: SignatureAlgorithm): boolean {
  const taken: readonly SignatureAlgorithm[] = takenBy[type]
  return taken.includes(algorithm)
}

type At = (key: string, message: string) => Found

/** Whoever a cloud is would have a proof of the workload: a JWT-SVID of ours whose only audience is our issuer. */
function findOwnAudience(target: TargetDocument, issuer: string | undefined, at: At): readonly Found[] {
  if (issuer === undefined || withoutSlash(audienceOf(target)) !== withoutSlash(issuer)) return []
  return [at('audience', 'this is our own issuer: with its token the cloud could ask here in the name of the workload')]
}

const withoutSlash = (text: string) => text.replace(/\/$/, '')

function findProblemsOfType(target: TargetDocument, at: At): readonly Found[] {
  if (target.type === 'aws') return findAwsProblems(target, at)
  return target.type === 'gcp' ? findGcpProblems(target, at) : []
}

/** Of regions whose names say so; the others are of `aws`. */
const partitions: readonly (readonly [start: string, partition: string])[] = [
  ['cn-', 'aws-cn'],
  ['us-gov-', 'aws-us-gov'],
  ['eusc-', 'aws-eusc'],
  ['us-iso-', 'aws-iso'],
  ['us-isob-', 'aws-iso-b'],
  ['eu-isoe-', 'aws-iso-e'],
  ['us-isof-', 'aws-iso-f'],
  ['eu-isof-', 'aws-iso-f'],
]

function partitionOf(region: string): string {
  return partitions.find(([start]) => region.startsWith(start))?.[1] ?? 'aws'
}

function findAwsProblems(target: AwsTargetDocument, at: At): readonly Found[] {
  const { session_duration: duration, session_policy: policy = '', session_policy_arns: arns, tags } = target
  const found: Found[] = []
  const [, partition = ''] = target.role_arn.split(':')
  if (partitionOf(target.region) !== partition)
    found.push(at('region', `the role is of partition ${partition}, and this region of ${partitionOf(target.region)}`))
  if (duration < minAwsDurationSeconds || duration > maxDurationSeconds)
    found.push(at('session_duration', 'AWS takes 15m to 12h, and no more than the role allows'))
  if (policy.length + arns.join('').length > maxSessionPolicy)
    found.push(at('session_policy', `AWS takes at most ${maxSessionPolicy} characters, session_policy_arns included`))
  const keys = Object.keys(tags)
  if (keys.length > 50) found.push(at('tags', 'AWS takes at most 50 tags'))
  if (new Set(keys.map((key) => key.toLowerCase())).size < keys.length)
    found.push(at('tags', 'two keys differ in capitals only, and AWS takes them for one'))
  for (const key of target.transitive_tags)
    if (!Object.hasOwn(tags, key)) found.push(at('transitive_tags', `${key} is none of tags`))
  return found
}

function findGcpProblems(target: GcpTargetDocument, at: At): readonly Found[] {
  const { service_account: account, lifetime = 0, impersonation_url: url } = target
  const found: Found[] = []
  if (lifetime > maxDurationSeconds)
    found.push(at('lifetime', 'Google takes at most 12h, and above 1h only by organization policy'))
  if (account === undefined)
    for (const key of ['lifetime', 'impersonation_url'] as const)
      if (target[key] !== undefined) found.push(at(key, 'it is for a service account: add service_account'))
  if (
    account !== undefined &&
    url?.endsWith(':generateAccessToken') &&
    !url.endsWith(`/${account}:generateAccessToken`)
  )
    found.push(at('impersonation_url', `it is for another service account than ${account}`))
  return found
}
