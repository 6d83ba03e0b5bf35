/**
 * What Google's STS checks of a token exchange with an OIDC provider.
 *
 * @module
 */
import { holdsCondition, type MappedAttributes, mapAttributes } from './google-mapping.ts'
import { type GoogleProvider, type GoogleState, poolOf } from './google-project.ts'
import { type FetchFailure, type IssuerDocuments, type Jwk, readKeys } from './issuer-documents.ts'
import { audiencesOf, type PresentedToken, verifiesWith } from './presented-token.ts'
import type { Rule } from './rules.ts'

const tokenPage = 'https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token'
const federationPage = 'https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers'
const mappingPage = 'https://cloud.google.com/iam/docs/workload-identity-federation#mapping'
const troublePage = 'https://cloud.google.com/iam/docs/troubleshooting-workload-identity-federation'
const providerPage =
  'https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers'

/** Towards the future, as users have measured it; none for `exp`. */
export const googleLeewaySeconds = 60

const maxLifetimeSeconds = 48 * 3600
const maxOptionsBytes = 4 * 1024 * 1024
const maxSubjectBytes = 127
const maxMappedBytes = 8192

export interface GoogleStsProblem {
  readonly error: string
  readonly message: string
}

export interface GoogleRequestContext {
  readonly fields: Readonly<Record<string, string>>
  readonly state: GoogleState
}

export interface GoogleTokenContext extends GoogleRequestContext {
  readonly token: PresentedToken | undefined
}

export interface GoogleClaimsContext extends GoogleRequestContext {
  readonly token: PresentedToken
  /** Without `//iam.googleapis.com/`. */
  readonly providerName: string
  readonly provider: GoogleProvider
  readonly now: Date
}

export interface GoogleIssuerContext extends GoogleClaimsContext {
  /** Absent where the provider has uploaded keys. */
  readonly documents: IssuerDocuments | undefined
}

export interface GoogleMappingContext extends GoogleClaimsContext {
  readonly attributes: MappedAttributes | undefined
}

const request = (message: string): GoogleStsProblem => ({ error: 'invalid_request', message })
const grant = (message: string): GoogleStsProblem => ({ error: 'invalid_grant', message })

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const subjectTypes = ['jwt', 'id_token'].map((name) => `urn:ietf:params:oauth:token-type:${name}`)

type Fields = Readonly<Record<string, string>>

function field(
  name: string,
  parameter: string,
  isRight: (value: string, fields: Fields) => boolean,
  error = 'invalid_request',
): Rule<GoogleRequestContext, GoogleStsProblem> {
  const message = `Invalid value for "${parameter}".`
  const check = ({ fields }: GoogleRequestContext) =>
    isRight(fields[parameter] ?? '', fields) ? undefined : { error, message }
  return { name, source: `${tokenPage} (assumed, the text)`, check }
}

const audiencePattern =
  /^\/\/iam\.googleapis\.com\/(projects\/([^/]+)\/locations\/global\/workloadIdentityPools\/[^/]+\/providers\/[^/]+)$/

const wrongAudience = request(
  'Invalid value for "audience". This value should be the full resource name of the Identity Provider. See https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible formats.',
)
const wrongTarget: GoogleStsProblem = {
  error: 'invalid_target',
  message:
    'The target service indicated by the "audience" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn\'t exist.',
}

/** `projects/…/providers/X` of the `audience`; empty where it has another form. */
export function providerNameOf(fields: Fields): string {
  return audiencePattern.exec(fields['audience'] ?? '')?.[1] ?? ''
}

export const googleRequestRules: readonly Rule<GoogleRequestContext, GoogleStsProblem>[] = [
  field('grant_type', 'grant_type', (value) => value === exchangeGrant, 'unsupported_grant_type'),
  field('requested_token_type', 'requested_token_type', (value) => value === accessTokenType),
  field('subject_token_type', 'subject_token_type', (value) => subjectTypes.includes(value)),
  field('subject_token', 'subject_token', (value) => value !== ''),
  field(
    'scope',
    'scope',
    (value) => value.split(' ').every((scope) => /^https:\/\/www\.googleapis\.com\/auth\/[\w.-]+$/.test(scope)),
    'invalid_scope',
  ),
  field('options_size', 'options', (value) => Buffer.byteLength(value) <= maxOptionsBytes),
  field('options_json', 'options', isOptions),
  {
    name: 'audience_form',
    source: 'https://github.com/google-github-actions/auth/issues/211',
    check: ({ fields }) => (audiencePattern.test(fields['audience'] ?? '') ? undefined : wrongAudience),
  },
  {
    name: 'audience_project_number',
    source: troublePage,
    check: ({ fields }) =>
      /^\d+$/.test(audiencePattern.exec(fields['audience'] ?? '')?.[2] ?? '') ? undefined : wrongAudience,
  },
  {
    name: 'pool_active',
    source: troublePage,
    check({ fields, state }) {
      const pool = state.pools.get(poolOf(providerNameOf(fields)))
      return pool && !pool.disabled && !pool.deleted ? undefined : wrongTarget
    },
  },
  {
    name: 'provider_known',
    source: troublePage,
    check: ({ fields, state }) => (state.providers.has(providerNameOf(fields)) ? undefined : wrongTarget),
  },
  {
    name: 'provider_enabled',
    source: troublePage,
    check: ({ fields, state }) => (state.providers.get(providerNameOf(fields))?.disabled ? wrongTarget : undefined),
  },
]

function isOptions(text: string): boolean {
  if (text === '') return true
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

export const googleTokenRules: readonly Rule<GoogleTokenContext, GoogleStsProblem>[] = [
  {
    name: 'token_jwt',
    source: `${tokenPage} (assumed, code and text)`,
    check: ({ token }) => (token ? undefined : grant('Unable to parse the ID Token.')),
  },
]

const unconnected = grant("Error connecting to the given credential's issuer.")

const stale = ({ claims }: PresentedToken) => grant(`ID Token issued at ${claims['iat'] ?? null} is stale to sign-in.`)

export const googleClaimsRules: readonly Rule<GoogleClaimsContext, GoogleStsProblem>[] = [
  {
    name: 'token_alg',
    source: `${federationPage} (assumed, code and text)`,
    check: ({ token: { header } }) =>
      header['alg'] === 'RS256' || header['alg'] === 'ES256'
        ? undefined
        : grant('The ID Token must be signed by RS256 or ES256.'),
  },
  {
    name: 'token_kid',
    source: `${tokenPage} (assumed, code and text)`,
    check: ({ token: { header } }) =>
      typeof header['kid'] === 'string' && header['kid'] !== '' ? undefined : unconnected,
  },
  {
    name: 'token_issuer',
    source: 'https://github.com/google-github-actions/auth/blob/main/docs/TROUBLESHOOTING.md',
    check({ token, provider }) {
      const { iss = null } = token.claims
      if (iss === provider.oidc.issuerUri) return undefined
      return grant(
        `The issuer in ID Token ${String(iss)} does not match the expected one in config: ${provider.oidc.issuerUri}.`,
      )
    },
  },
  {
    name: 'token_audience',
    source: federationPage,
    check({ token, provider, providerName }) {
      const own = ['', 'https:'].map((scheme) => `${scheme}//iam.googleapis.com/${providerName}`)
      const allowed = provider.oidc.allowedAudiences ?? []
      const accepted = allowed.length > 0 ? allowed : own
      if (audiencesOf(token).some((audience) => accepted.includes(audience))) return undefined
      return grant(`The audience in ID Token [${audiencesOf(token).join(', ')}] does not match the expected audience.`)
    },
  },
  {
    name: 'token_issued_at',
    source: tokenPage,
    check: ({ token }) => (typeof token.claims['iat'] === 'number' ? undefined : stale(token)),
  },
  {
    name: 'token_issued_in_future',
    source: `${tokenPage} ("in the past"; assumed, the leeway)`,
    check: ({ token, now }) => (isFuture(token.claims['iat'], now) ? stale(token) : undefined),
  },
  {
    name: 'token_expiry',
    source: tokenPage,
    check: ({ token }) => (typeof token.claims['exp'] === 'number' ? undefined : stale(token)),
  },
  {
    name: 'token_expired',
    source: `${tokenPage} (assumed: no leeway)`,
    check: ({ token, now }) => (Number(token.claims['exp']) <= now.getTime() / 1000 ? stale(token) : undefined),
  },
  {
    name: 'token_lifetime',
    source: `${tokenPage} (less than 48 hours; assumed, code and text: users have seen longer ones taken)`,
    check: ({ token: { claims } }) =>
      Number(claims['exp']) - Number(claims['iat']) < maxLifetimeSeconds
        ? undefined
        : grant('The lifetime of the ID Token must be less than 48 hours.'),
  },
  {
    name: 'token_not_yet_valid',
    source: `${tokenPage} (assumed)`,
    check: ({ token, now }) => (isFuture(token.claims['nbf'], now) ? stale(token) : undefined),
  },
]

function isFuture(seconds: unknown, now: Date): boolean {
  return typeof seconds === 'number' && seconds > now.getTime() / 1000 + googleLeewaySeconds
}

function failed(name: string, kinds: readonly FetchFailure[]): Rule<GoogleIssuerContext, GoogleStsProblem> {
  function check({ documents }: GoogleIssuerContext): GoogleStsProblem | undefined {
    const failure = documents?.discovery.failure ?? documents?.jwks?.failure
    return failure !== undefined && kinds.includes(failure) ? unconnected : undefined
  }
  return { name, source: troublePage, check }
}

const uploadMembers = ['kty', 'alg', 'use', 'kid', 'n', 'e', 'x', 'y', 'crv']

/** Of the keys that were uploaded; undefined where none were, or no JWK Set. */
function uploadedKeys({ provider }: GoogleClaimsContext): readonly Jwk[] | undefined {
  try {
    const { jwksJson } = provider.oidc
    return jwksJson === undefined ? undefined : readKeys(JSON.parse(jwksJson).keys)
  } catch {
    return undefined
  }
}

function findKey(context: GoogleIssuerContext): Jwk | undefined {
  const keys = uploadedKeys(context) ?? context.documents?.keys ?? []
  return keys.find((key) => key['kid'] === context.token.header['kid'])
}

function uploadRule(name: string, isRight: (key: Jwk) => boolean): Rule<GoogleIssuerContext, GoogleStsProblem> {
  return {
    name,
    source: `${providerPage} (assumed: seen at the exchange, not when it is uploaded)`,
    check: (context) => ((uploadedKeys(context) ?? []).every(isRight) ? undefined : unconnected),
  }
}

export const googleIssuerRules: readonly Rule<GoogleIssuerContext, GoogleStsProblem>[] = [
  {
    name: 'jwks_upload_json',
    source: troublePage,
    check: (context) =>
      context.provider.oidc.jwksJson === undefined || uploadedKeys(context)?.length ? undefined : unconnected,
  },
  uploadRule('jwks_upload_members', (key) => Object.keys(key).every((name) => uploadMembers.includes(name))),
  uploadRule('jwks_upload_use', (key) => key['use'] === 'sig'),
  failed('issuer_reached', ['unreachable']),
  failed('issuer_deadline', ['deadline']),
  failed('issuer_tls', ['tls']),
  failed('issuer_no_redirect', ['redirect']),
  failed('issuer_status', ['status']),
  failed('issuer_json', ['not_json', 'too_large']),
  {
    name: 'discovery_issuer',
    source: federationPage,
    check: ({ documents, provider }) =>
      documents === undefined || documents.discovery.members['issuer'] === provider.oidc.issuerUri
        ? undefined
        : unconnected,
  },
  {
    name: 'discovery_jwks_uri',
    source: federationPage,
    check: ({ documents }) =>
      documents === undefined || (documents.jwks && documents.jwks.failure !== 'address') ? undefined : unconnected,
  },
  { name: 'key_known', source: troublePage, check: (context) => (findKey(context) ? undefined : unconnected) },
  {
    name: 'signature',
    source: troublePage,
    check: (context) =>
      verifiesWith(context.token, findKey(context) ?? {})
        ? undefined
        : grant('Unable to verify the ID Token signature.'),
  },
]

export function readAttributes({ provider, token }: GoogleClaimsContext): MappedAttributes | undefined {
  return mapAttributes(provider.attributeMapping, token.claims)
}

const bytesOf = (text = '') => Buffer.byteLength(text)

export const googleMappingRules: readonly Rule<GoogleMappingContext, GoogleStsProblem>[] = [
  {
    name: 'mapping_evaluates',
    source: `${mappingPage} (assumed, code and text)`,
    check: ({ attributes }) => (attributes ? undefined : grant('Could not evaluate the attribute mapping.')),
  },
  {
    name: 'subject_present',
    source: `${mappingPage} (assumed, code and text)`,
    check: ({ attributes }) =>
      attributes?.['google.subject']
        ? undefined
        : grant('Could not obtain a value for google.subject from the given credential.'),
  },
  {
    name: 'subject_length',
    source: mappingPage,
    check: ({ attributes }) =>
      bytesOf(attributes?.['google.subject']) > maxSubjectBytes
        ? grant(
            `The size of mapped attribute google.subject exceeds the ${maxSubjectBytes} bytes limit. Either modify your attribute mapping or the incoming assertion to produce a mapped attribute that is less than ${maxSubjectBytes} bytes.`,
          )
        : undefined,
  },
  {
    name: 'mapped_size',
    source: `${mappingPage} (assumed, code and text)`,
    check: ({ attributes }) =>
      Object.values(attributes ?? {}).reduce((sum, value) => sum + bytesOf(value), 0) > maxMappedBytes
        ? grant(`The size of the mapped attributes exceeds the ${maxMappedBytes} bytes limit.`)
        : undefined,
  },
  {
    name: 'attribute_condition',
    source: troublePage,
    check({ provider, token, attributes }) {
      const { attributeCondition } = provider
      if (attributeCondition === undefined || holdsCondition(attributeCondition, token.claims, attributes ?? {}))
        return undefined
      return { error: 'unauthorized_client', message: 'The given credential is rejected by the attribute condition.' }
    },
  },
]

/** As the claims say it: for the life of the token that is issued. */
export function secondsLeft({ token, now }: GoogleClaimsContext): number {
  return Math.floor(Number(token.claims['exp']) - now.getTime() / 1000)
}
