/**
 * What accounts hold: OIDC providers, roles and access keys.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { TrustPolicy } from './aws-trust-policy.ts'
import type { AwsProblem } from './aws-wire.ts'
import { CloudRefusal, firstBroken, type Rule } from './rules.ts'

export interface AwsOidcProvider {
  readonly account: string
  /** Such as `https://id.example.org`. */
  readonly url: string
  readonly clientIds: readonly string[]
  /** SHA-1 in hex; looked at only where the issuer's CA is not public. */
  readonly thumbprints?: readonly string[]
}

export interface AwsRole {
  /** `arn:aws:iam::<account>:role/<name>` */
  readonly arn: string
  readonly trustPolicy: TrustPolicy
  /** 3,600 by default. */
  readonly maxSessionSeconds?: number
}

export interface AwsAccessKey {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of temporary credentials. */
  readonly sessionToken?: string
  readonly expiresAt?: Date
  /** As `GetCallerIdentity` says it. */
  readonly arn: string
  readonly userId: string
  readonly account: string
  /** Of the session that it was issued for. */
  readonly session?: AwsSession
}

export interface AwsSession {
  readonly roleArn: string
  readonly subject: string
  readonly tags: Readonly<Record<string, string>>
  readonly sourceIdentity?: string
  readonly policy?: string
  readonly policyArns: readonly string[]
}

/** May be changed at any time; nothing is checked here, see {@link createAwsOidcProvider}. */
export interface AwsState {
  providers: AwsOidcProvider[]
  /** By ARN. */
  readonly roles: Map<string, AwsRole>
  /** By id. */
  readonly accessKeys: Map<string, AwsAccessKey>
}

export interface AwsArn {
  readonly partition: string
  readonly account: string
  /** Of the role, with its path. */
  readonly name: string
}

export function parseRoleArn(arn: string): AwsArn | undefined {
  const [, partition, account, name] =
    /^arn:(aws|aws-cn|aws-us-gov):iam::(\d{12}):role\/([\w+=,.@/-]{1,576})$/.exec(arn) ?? []
  if (partition === undefined || account === undefined || name === undefined) return undefined
  return { partition, account, name }
}

/** The part of an ARN and of condition keys that names an issuer. */
export function providerName(url: string): string {
  return url.replace(/^https:\/\//, '')
}

export function providerArn({ partition, account }: AwsArn, url: string): string {
  return `arn:${partition}:iam::${account}:oidc-provider/${providerName(url)}`
}

const providerPage = 'https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html'

const invalidInput = (message: string): AwsProblem => ({ status: 400, code: 'InvalidInput', message })
const tooMany = (message: string): AwsProblem => ({ status: 409, code: 'LimitExceeded', message })

interface ProviderContext {
  readonly provider: AwsOidcProvider
  readonly state: AwsState
}

/** Of `CreateOpenIDConnectProvider`. */
export const awsProviderRules: readonly Rule<ProviderContext, AwsProblem>[] = [
  {
    name: 'provider_url',
    source: providerPage,
    check({ provider }) {
      const url = URL.parse(provider.url)
      if (url?.protocol === 'https:' && provider.url.length <= 255) return undefined
      return invalidInput('Invalid Open ID Connect Provider URL')
    },
  },
  {
    name: 'provider_url_port',
    source: providerPage,
    check: ({ provider }) =>
      /^https:\/\/[^/]*:\d/.test(provider.url) ? invalidInput('Invalid Open ID Connect Provider URL') : undefined,
  },
  {
    name: 'provider_url_query',
    source: providerPage,
    check: ({ provider }) =>
      /[?#]/.test(provider.url) ? invalidInput('Invalid Open ID Connect Provider URL') : undefined,
  },
  {
    name: 'provider_unique',
    source: providerPage,
    check({ provider: { account, url }, state }) {
      const exists = state.providers.some((other) => other.account === account && other.url === url)
      if (!exists) return undefined
      return { status: 409, code: 'EntityAlreadyExists', message: `Provider with url ${url} already exists.` }
    },
  },
  {
    name: 'provider_client_ids',
    source: providerPage,
    check: ({ provider }) =>
      provider.clientIds.length > 100
        ? tooMany('Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100')
        : undefined,
  },
  {
    name: 'provider_client_id_length',
    source: providerPage,
    check: ({ provider }) =>
      provider.clientIds.some((id) => id.length < 1 || id.length > 255)
        ? { status: 400, code: 'ValidationError', message: "Value at 'clientIDList' failed to satisfy constraint" }
        : undefined,
  },
  {
    name: 'provider_thumbprints',
    source: providerPage,
    check: ({ provider }) =>
      (provider.thumbprints ?? []).length > 5
        ? invalidInput('Thumbprint list must contain fewer than 5 entries.')
        : undefined,
  },
  {
    name: 'provider_thumbprint_shape',
    source: providerPage,
    check: ({ provider }) =>
      (provider.thumbprints ?? []).every((print) => /^[0-9a-fA-F]{40}$/.test(print))
        ? undefined
        : { status: 400, code: 'ValidationError', message: "Value at 'thumbprintList' failed to satisfy constraint" },
  },
]

/** @throws {CloudRefusal} as `CreateOpenIDConnectProvider` refuses */
export function createAwsOidcProvider(state: AwsState, provider: AwsOidcProvider): void {
  const broken = firstBroken(awsProviderRules, { provider, state })
  if (broken) throw new CloudRefusal(broken.rule, broken.problem)
  state.providers.push(provider)
}

const idLetters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** An identifier of IAM: four letters that say what it is, and 17 more. */
export function makeAwsId(prefix: 'ASIA' | 'AKIA' | 'AROA' | 'AIDA'): string {
  const length = prefix === 'ASIA' || prefix === 'AKIA' ? 16 : 17
  return prefix + Array.from(randomBytes(length), (byte) => idLetters[byte % 32]).join('')
}
