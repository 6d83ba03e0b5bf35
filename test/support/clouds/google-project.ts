/**
 * What projects hold: workload identity pools, their providers, and service accounts.
 *
 * @module
 */
import type { MappedAttributes } from './google-mapping.ts'
import { CloudRefusal, firstBroken, type Rule } from './rules.ts'

/** As the IAM API writes it. */
export interface GoogleProvider {
  readonly attributeMapping: Readonly<Record<string, string>>
  readonly attributeCondition?: string
  readonly disabled?: boolean
  readonly oidc: {
    readonly issuerUri: string
    /** None: the provider's own resource name, with or without `https:`. */
    readonly allowedAudiences?: readonly string[]
    /** A JWK Set as JSON: then the issuer is not asked. */
    readonly jwksJson?: string
  }
}

export interface GooglePool {
  readonly disabled?: boolean
  readonly deleted?: boolean
}

export interface GoogleServiceAccount {
  readonly disabled?: boolean
  readonly bindings: readonly { readonly role: string; readonly members: readonly string[] }[]
  /** The organisation lets its tokens live 12 hours; 1 hour otherwise. */
  readonly hasLongLifetime?: boolean
}

export interface GoogleFederatedToken {
  readonly accessToken: string
  /** `projects/N/locations/global/workloadIdentityPools/P` */
  readonly pool: string
  readonly attributes: MappedAttributes
  readonly scopes: readonly string[]
  readonly expiresAt: Date
}

export interface GoogleServiceAccountToken {
  readonly accessToken: string
  readonly email: string
  readonly scopes: readonly string[]
  readonly expiresAt: Date
}

/** May be changed at any time; nothing is checked here, see {@link createGoogleProvider}. */
export interface GoogleState {
  /** By `projects/N/locations/global/workloadIdentityPools/P`. */
  readonly pools: Map<string, GooglePool>
  /** By the name of the pool and `/providers/X`. */
  readonly providers: Map<string, GoogleProvider>
  /** By e-mail address. */
  readonly serviceAccounts: Map<string, GoogleServiceAccount>
}

export const providerPattern =
  /^projects\/(\d+)\/locations\/global\/workloadIdentityPools\/([a-z0-9-]{4,32})\/providers\/([a-z0-9-]{4,32})$/

export const poolOf = (providerName: string) => providerName.replace(/\/providers\/.*$/, '')

/** Who a federated token is, as bindings name it. */
export function principalsOf({ pool, attributes }: GoogleFederatedToken): readonly string[] {
  const base = `iam.googleapis.com/${pool}`
  const sets = Object.entries(attributes)
    .filter(([name]) => name.startsWith('attribute.'))
    .map(([name, value]) => `principalSet://${base}/${name}/${value}`)
  return [`principal://${base}/subject/${attributes['google.subject']}`, `principalSet://${base}/*`, ...sets]
}

export interface GoogleApiProblem {
  readonly status: number
  readonly code: string
  readonly message: string
}

export const invalidArgument = (message: string): GoogleApiProblem => ({
  status: 400,
  code: 'INVALID_ARGUMENT',
  message,
})

interface ProviderContext {
  readonly name: string
  readonly provider: GoogleProvider
  readonly state: GoogleState
}

const providerPage =
  'https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers'

type ProviderRule = Rule<ProviderContext, GoogleApiProblem>

function providerRule(name: string, message: string, isRight: (context: ProviderContext) => boolean): ProviderRule {
  return { name, source: providerPage, check: (context) => (isRight(context) ? undefined : invalidArgument(message)) }
}

const customNames = (provider: GoogleProvider) =>
  Object.keys(provider.attributeMapping).filter((name) => name !== 'google.subject' && name !== 'google.groups')

export const googleProviderRules: readonly ProviderRule[] = [
  providerRule('provider_name', 'The name of the provider is invalid.', ({ name }) => providerPattern.test(name)),
  {
    name: 'provider_pool',
    source: providerPage,
    check: ({ name, state }) =>
      state.pools.has(poolOf(name))
        ? undefined
        : { status: 404, code: 'NOT_FOUND', message: 'Requested entity was not found.' },
  },
  providerRule('provider_issuer', 'Invalid OIDC issuer URI.', ({ provider }) => URL.canParse(provider.oidc.issuerUri)),
  providerRule('provider_issuer_https', 'Invalid OIDC issuer URI. The scheme must be https.', ({ provider }) =>
    provider.oidc.issuerUri.startsWith('https://'),
  ),
  providerRule('provider_audiences', 'At most 10 audiences can be configured.', ({ provider: { oidc } }) => {
    return (oidc.allowedAudiences ?? []).length <= 10
  }),
  providerRule('provider_audience_length', 'An audience can have at most 256 characters.', ({ provider: { oidc } }) =>
    (oidc.allowedAudiences ?? []).every(({ length }) => length <= 256),
  ),
  providerRule(
    'provider_subject_mapping',
    'The mapping of google.subject is required.',
    ({ provider }) => (provider.attributeMapping['google.subject'] ?? '') !== '',
  ),
  providerRule('provider_mapping_keys', 'An attribute name is invalid.', ({ provider }) =>
    customNames(provider).every((name) => /^attribute\.[a-z0-9_]{1,100}$/.test(name)),
  ),
  providerRule('provider_mapping_count', 'At most 50 custom attributes can be mapped.', ({ provider }) => {
    return customNames(provider).length <= 50
  }),
  providerRule('provider_mapping_length', 'A mapping can have at most 2048 characters.', ({ provider }) =>
    Object.values(provider.attributeMapping).every(({ length }) => length <= 2048),
  ),
  providerRule('provider_condition_length', 'The condition can have at most 4096 characters.', ({ provider }) => {
    return (provider.attributeCondition ?? '').length <= 4096
  }),
]

/** @throws {CloudRefusal} as the IAM API refuses */
export function createGoogleProvider(state: GoogleState, name: string, provider: GoogleProvider): void {
  const broken = firstBroken(googleProviderRules, { name, provider, state })
  if (broken) throw new CloudRefusal(broken.rule, broken.problem)
  state.providers.set(name, provider)
}
