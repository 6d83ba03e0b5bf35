/**
 * What Microsoft Entra ID checks of a client credentials request with a federated assertion.
 *
 * @module
 */
import type { EntraApp, EntraState, StoredCredential } from './entra-directory.ts'
import { type EntraProblem, refusal } from './entra-wire.ts'
import type { FetchFailure, IssuerDocuments, Jwk } from './issuer-documents.ts'
import { audiencesOf, type PresentedToken, textClaim, verifiesWith } from './presented-token.ts'
import type { Rule } from './rules.ts'

/** Where the codes page sends its readers for what is current. */
const lookupPage = 'https://login.microsoftonline.com/error?code='
const codesPage = 'https://learn.microsoft.com/entra/identity-platform/reference-error-codes'
const flowPage = 'https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow'
const considerations = 'https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations'
const federationPage = 'https://learn.microsoft.com/entra/workload-id/workload-identity-federation'
const spiffePage = 'https://learn.microsoft.com/entra/workload-id/workload-identity-federation-spiffe-spire'
const unreachablePage = 'https://github.com/Azure/azure-workload-identity/issues/642'

/** Of `TokenValidationParameters.DefaultClockSkew` in Microsoft.IdentityModel, towards the future; none for `exp`. */
export const entraLeewaySeconds = 300

const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export interface EntraRequestContext {
  /** As the path says it. */
  readonly tenant: string
  readonly form: URLSearchParams
  readonly state: EntraState
}

export interface EntraTokenContext extends EntraRequestContext {
  readonly token: PresentedToken | undefined
}

export interface EntraClaimsContext extends EntraRequestContext {
  readonly token: PresentedToken
  readonly app: EntraApp
  readonly now: Date
}

export interface EntraIssuerContext extends EntraClaimsContext {
  readonly documents: IssuerDocuments
}

function required(name: string, parameter: string): Rule<EntraRequestContext, EntraProblem> {
  const message = `The request body must contain the following parameter: '${parameter}'.`
  return {
    name,
    source: `${lookupPage}900144`,
    check: ({ form }) => (form.get(parameter) ? undefined : refusal('invalid_request', 900144, message)),
  }
}

export function findApp({ state, tenant, form }: EntraRequestContext): EntraApp | undefined {
  return state.apps.find((app) => app.tenant === tenant && app.clientId === form.get('client_id')?.toLowerCase())
}

const scopesOf = (form: URLSearchParams) => (form.get('scope') ?? '').split(' ').filter((scope) => scope !== '')
const isReserved = (scope: string) => ['openid', 'profile', 'offline_access'].includes(scope)
/** MSAL adds none of the reserved scopes to client credentials; they are not counted. */
export const resourceScopes = (form: URLSearchParams) => scopesOf(form).filter((scope) => !isReserved(scope))
export const resourceOf = (scope: string) => scope.replace(/\/\.default$/, '')

export const entraRequestRules: readonly Rule<EntraRequestContext, EntraProblem>[] = [
  {
    name: 'tenant_known',
    source: codesPage,
    check({ state, tenant }) {
      if (state.tenants.has(tenant)) return undefined
      const message = `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.`
      return refusal('invalid_request', 90002, message)
    },
  },
  required('grant_type', 'grant_type'),
  {
    name: 'grant_type_client_credentials',
    source: codesPage,
    check({ form }) {
      if (form.get('grant_type') === 'client_credentials') return undefined
      const message = `The app requested an unsupported grant type '${form.get('grant_type')}'.`
      return refusal('unsupported_grant_type', 70003, message)
    },
  },
  required('client_id', 'client_id'),
  {
    name: 'app_known',
    source: codesPage,
    check(context) {
      if (findApp(context)) return undefined
      const message = `Application with identifier '${context.form.get('client_id')}' was not found in the directory '${context.tenant}'.`
      return refusal('unauthorized_client', 700016, message)
    },
  },
  required('scope', 'scope'),
  {
    name: 'scope_single_resource',
    source: `${lookupPage}28000 (assumed, the error)`,
    check({ form }) {
      if (new Set(resourceScopes(form).map(resourceOf)).size <= 1) return undefined
      const message =
        'Provided value for the input parameter scope is not valid because it contains more than one resource.'
      return refusal('invalid_request', 28000, message)
    },
  },
  {
    name: 'scope_default',
    source: flowPage,
    check({ form }) {
      const scopes = resourceScopes(form)
      if (scopes.length > 0 && scopes.every((scope) => scope.endsWith('/.default'))) return undefined
      const message = `The provided value for scope ${form.get('scope')} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).`
      return refusal('invalid_scope', 1002012, message)
    },
  },
  {
    name: 'scope_resource_known',
    source: codesPage,
    check({ form, state, tenant }) {
      const unknown = resourceScopes(form)
        .map(resourceOf)
        .find((resource) => !state.resources.has(resource))
      if (unknown === undefined) return undefined
      const message = `The resource principal named ${unknown} was not found in the tenant named ${tenant}.`
      return refusal('invalid_resource', 500011, message)
    },
  },
  {
    name: 'assertion_present',
    source: codesPage,
    check: ({ form }) =>
      form.get('client_assertion')
        ? undefined
        : refusal(
            'invalid_client',
            7000218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
          ),
  },
  {
    name: 'assertion_type',
    source: `${flowPage} (assumed, the code)`,
    check: ({ form }) =>
      form.get('client_assertion_type') === jwtBearer
        ? undefined
        : refusal(
            'invalid_request',
            900144,
            "The request body must contain the following parameter: 'client_assertion_type'.",
          ),
  },
]

const malformed = (what: string) => refusal('invalid_client', 50027, `JWT token is invalid or malformed. ${what}`)

export const entraTokenRules: readonly Rule<EntraTokenContext, EntraProblem>[] = [
  { name: 'assertion_jwt', source: codesPage, check: ({ token }) => (token ? undefined : malformed('It is no JWT.')) },
]

function isEntraIssuer(issuer: string): boolean {
  const host = URL.parse(issuer)?.hostname ?? ''
  const entra = ['login.microsoftonline.com', 'login.windows.net', 'login.microsoft.com', 'sts.windows.net']
  return entra.some((name) => host === name || host.endsWith(`.${name}`))
}

function visibleCredentials({ app, now }: EntraClaimsContext): readonly StoredCredential[] {
  return app.federatedCredentials.filter(({ visibleAt }) => visibleAt === undefined || visibleAt <= now)
}

/** Those that fit so far: by issuer, then by audience, then by subject, each exactly as written. */
function matching(context: EntraClaimsContext, depth: 1 | 2 | 3): readonly StoredCredential[] {
  const { token } = context
  const audiences = audiencesOf(token)
  return visibleCredentials(context)
    .filter(({ issuer }) => issuer === textClaim(token, 'iss'))
    .filter(({ audiences: [wanted] }) => depth < 2 || (audiences.length === 1 && audiences[0] === wanted))
    .filter(({ subject }) => depth < 3 || subject === textClaim(token, 'sub'))
}

const advice =
  'Please check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation'
const mismatch = (code: number, what: string) =>
  refusal(
    'invalid_client',
    code,
    `No matching federated identity record found for presented assertion ${what}. ${advice}`,
  )

export const entraClaimsRules: readonly Rule<EntraClaimsContext, EntraProblem>[] = [
  {
    name: 'assertion_algorithm',
    source: `${spiffePage} (RSA keys; the code as users have seen it)`,
    check({ token: { header } }) {
      if (header['alg'] === 'RS256') return undefined
      const message = `Invalid JWT token. '${String(header['alg'])}' is not a supported signature algorithm. Supported signing algorithms are: 'RS256, HS256'`
      return refusal('invalid_request', 5002738, message)
    },
  },
  {
    name: 'assertion_kid',
    source: `${federationPage} (assumed)`,
    check: ({ token }) => (typeof token.header['kid'] === 'string' ? undefined : malformed('It names no key.')),
  },
  {
    name: 'assertion_claims',
    source: `${federationPage} (assumed, the code)`,
    check({ token }) {
      const lacks = ['iss', 'sub'].filter((name) => textClaim(token, name) === '')
      if (audiencesOf(token).length === 0) lacks.push('aud')
      if (typeof token.claims['exp'] !== 'number') lacks.push('exp')
      return lacks.length === 0 ? undefined : malformed(`It lacks ${lacks.join(', ')}.`)
    },
  },
  {
    name: 'assertion_not_entra',
    source: considerations,
    check: ({ token }) =>
      isEntraIssuer(textClaim(token, 'iss'))
        ? refusal('invalid_client', 700222, 'AAD-issued tokens may not be used for federated identity flows.')
        : undefined,
  },
  {
    name: 'assertion_enterprise',
    source: `${lookupPage}7002381 (assumed, the text)`,
    check({ state, tenant, token }) {
      const isGithub = /(^|\.)githubusercontent\.com$/.test(URL.parse(textClaim(token, 'iss'))?.hostname ?? '')
      if (!isGithub || !state.tenants.get(tenant)?.needsEnterpriseClaim || textClaim(token, 'enterprise'))
        return undefined
      return refusal(
        'invalid_client',
        7002381,
        'The tenant requires the enterprise claim in assertions of this issuer.',
      )
    },
  },
  {
    name: 'credential_visible',
    source: considerations,
    check(context) {
      if (visibleCredentials(context).length > 0) return undefined
      return refusal(
        'invalid_client',
        70021,
        `No matching federated identity record found for presented assertion. ${advice}`,
      )
    },
  },
  {
    name: 'credential_matches_issuer',
    source: `${considerations} (case-sensitive)`,
    check(context) {
      if (matching(context, 1).length > 0) return undefined
      return mismatch(700211, `issuer '${textClaim(context.token, 'iss')}'`)
    },
  },
  {
    name: 'credential_matches_audience',
    source: `${considerations} (assumed: a second audience matches none)`,
    check(context) {
      if (matching(context, 2).length > 0) return undefined
      return mismatch(700212, `audience '${audiencesOf(context.token).join(' ')}'`)
    },
  },
  {
    name: 'credential_matches_subject',
    source: `${considerations} (case-sensitive)`,
    check(context) {
      if (matching(context, 3).length > 0) return undefined
      return mismatch(700213, `subject '${textClaim(context.token, 'sub')}'`)
    },
  },
  {
    name: 'assertion_expired',
    source: `${lookupPage}700024 (assumed: no leeway)`,
    check: ({ token, now }) =>
      Number(token.claims['exp']) <= now.getTime() / 1000 ? outsideTimes(token, now) : undefined,
  },
  {
    name: 'assertion_not_yet_valid',
    source: `${lookupPage}700024 (leeway: Microsoft.IdentityModel's default)`,
    check: ({ token, now }) => (isFuture(token.claims['nbf'], now) ? outsideTimes(token, now) : undefined),
  },
  {
    name: 'assertion_issued_in_future',
    source: `${lookupPage}700024 (assumed of iat)`,
    check: ({ token, now }) => (isFuture(token.claims['iat'], now) ? outsideTimes(token, now) : undefined),
  },
]

function isFuture(seconds: unknown, now: Date): boolean {
  return typeof seconds === 'number' && seconds > now.getTime() / 1000 + entraLeewaySeconds
}

function outsideTimes({ claims }: PresentedToken, now: Date): EntraProblem {
  const time = (seconds: unknown) => new Date(Number(seconds) * 1000).toISOString()
  const message = `Client assertion is not within its valid time range. Current time: ${now.toISOString()}, assertion valid from ${time(claims['nbf'] ?? claims['iat'] ?? 0)}, expiry time of assertion ${time(claims['exp'])}.`
  return refusal('invalid_client', 700024, message)
}

const endpointFailed = (code: number) => refusal('invalid_request', code, 'Request to External OIDC endpoint failed.')

function failed(name: string, kinds: readonly FetchFailure[], code = 50166): Rule<EntraIssuerContext, EntraProblem> {
  function check({ documents: { discovery, jwks } }: EntraIssuerContext): EntraProblem | undefined {
    const failure = discovery.failure ?? jwks?.failure
    return failure !== undefined && kinds.includes(failure) ? endpointFailed(code) : undefined
  }
  return { name, source: unreachablePage, check }
}

/** Only the first 100 are kept. */
function findKeys({ documents, token }: EntraIssuerContext): readonly Jwk[] {
  return documents.keys.slice(0, 100).filter((key) => key['kid'] === token.header['kid'])
}

function keyMissing({ token }: EntraIssuerContext): EntraProblem {
  const message = `The certificate with identifier ${String(token.header['kid'])} used to sign the federated credential could not be found in the metadata of identity provider ${textClaim(token, 'iss')}. Please validate that your Identity Provider's metadata exposes the key used to sign the incoming token.`
  return refusal('invalid_client', 7000272, message)
}

export const entraIssuerRules: readonly Rule<EntraIssuerContext, EntraProblem>[] = [
  failed('issuer_reached', ['unreachable']),
  failed('issuer_deadline', ['deadline']),
  failed('issuer_tls', ['tls']),
  failed('issuer_no_redirect', ['redirect'], 501661),
  failed('issuer_status', ['status'], 501661),
  failed('issuer_json', ['not_json', 'too_large'], 90061),
  {
    name: 'discovery_issuer',
    source: 'https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation',
    check: ({ documents, token }) =>
      documents.discovery.members['issuer'] === textClaim(token, 'iss') ? undefined : endpointFailed(90061),
  },
  {
    name: 'discovery_jwks_uri',
    source: 'https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata',
    check: ({ documents: { jwks } }) => (jwks && jwks.failure !== 'address' ? undefined : endpointFailed(90061)),
  },
  {
    name: 'key_known',
    source: 'https://github.com/Azure/azure-workload-identity/issues/1232',
    check: (context) =>
      context.documents.keys.some((key) => key['kid'] === context.token.header['kid'])
        ? undefined
        : keyMissing(context),
  },
  {
    name: 'key_among_first_100',
    source: federationPage,
    check: (context) => (findKeys(context).length > 0 ? undefined : keyMissing(context)),
  },
  {
    name: 'key_use_sig',
    source: `${spiffePage} (set_key_use)`,
    check: (context) => (findKeys(context).some((key) => key['use'] === 'sig') ? undefined : keyMissing(context)),
  },
  {
    name: 'signature',
    source: `${lookupPage}50013 (assumed that it is this one)`,
    check: (context) =>
      findKeys(context).some((key) => verifiesWith(context.token, key))
        ? undefined
        : refusal(
            'invalid_client',
            50013,
            'Assertion failed signature validation. [Reason - The provided signature value did not match the expected signature value.]',
          ),
  },
]
