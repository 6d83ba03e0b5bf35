/**
 * What STS checks of the token and of the issuer that it comes from.
 *
 * @module
 */
import type { AwsArn, AwsOidcProvider } from './aws-account.ts'
import { type AwsRequestContext, keyNotRetrieved } from './aws-request-rules.ts'
import type { AwsProblem } from './aws-wire.ts'
import type { FetchFailure, IssuerDocuments, Jwk } from './issuer-documents.ts'
import { audiencesOf, type PresentedToken, textClaim, verifiesWith } from './presented-token.ts'
import type { Rule } from './rules.ts'

const apiPage = 'https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html'
const providerPage = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html'
const thumbprintPage =
  'https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html'
const troublePage = 'https://repost.aws/knowledge-center/iam-sts-invalididentitytoken'
const limitsPage = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html'

/** No leeway is documented; the strictest is none. */
export const awsLeewaySeconds = 0

export interface AwsTokenContext extends AwsRequestContext {
  readonly token: PresentedToken | undefined
}

export interface AwsClaimsContext extends AwsRequestContext {
  readonly token: PresentedToken
  readonly role: AwsArn
  readonly now: Date
  readonly providers: readonly AwsOidcProvider[]
}

export interface AwsIssuerContext extends AwsClaimsContext {
  readonly provider: AwsOidcProvider
  readonly documents: IssuerDocuments
  /** SHA-256 fingerprints of CAs that are in the library of AWS. */
  readonly publicCas: ReadonlySet<string>
}

export function invalidToken(message: string): AwsProblem {
  return { status: 400, code: 'InvalidIdentityToken', message }
}

/** OpenID Connect Core §2: who the token is for, where several audiences are named. */
export function effectiveAudience(token: PresentedToken): string {
  return textClaim(token, 'azp') || (audiencesOf(token)[0] ?? '')
}

export const awsTokenRules: readonly Rule<AwsTokenContext, AwsProblem>[] = [
  {
    name: 'token_jwt',
    source: troublePage,
    check: ({ token }) =>
      token
        ? undefined
        : invalidToken(
            'The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)',
          ),
  },
]

const algorithms = new Set(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'])

const missing = (claim: string) => invalidToken(`Missing a required claim: ${claim}`)

const noProvider = ({ token }: AwsClaimsContext) =>
  invalidToken(`No OpenIDConnect provider found in your account for ${textClaim(token, 'iss')}`)

export function findProvider({ providers, role, token }: AwsClaimsContext): AwsOidcProvider | undefined {
  const issuer = textClaim(token, 'iss')
  return providers.find(({ account, url }) => account === role.account && url === issuer)
}

export const awsClaimsRules: readonly Rule<AwsClaimsContext, AwsProblem>[] = [
  {
    name: 'token_alg',
    source: `${providerPage} (assumed: the algorithms are documented, the text is not)`,
    check: ({ token }) =>
      algorithms.has(String(token.header['alg']))
        ? undefined
        : invalidToken('The algorithm of the token is not supported'),
  },
  {
    name: 'token_kid',
    source: `${providerPage} (assumed)`,
    check: ({ token }) => (typeof token.header['kid'] === 'string' ? undefined : keyNotRetrieved),
  },
  {
    name: 'token_issuer',
    source: 'https://github.com/aws/aws-sdk-ruby/issues/2698 (of aud; assumed of the others)',
    check: ({ token }) => (textClaim(token, 'iss') === '' ? missing('iss') : undefined),
  },
  {
    name: 'token_issuer_https',
    source: providerPage,
    check: (context) => (textClaim(context.token, 'iss').startsWith('https://') ? undefined : noProvider(context)),
  },
  {
    name: 'token_issuer_port',
    source: providerPage,
    check: (context) => (/^https:\/\/[^/]*:\d/.test(textClaim(context.token, 'iss')) ? noProvider(context) : undefined),
  },
  {
    name: 'token_issuer_query',
    source: providerPage,
    check: (context) => (/[?#]/.test(textClaim(context.token, 'iss')) ? noProvider(context) : undefined),
  },
  {
    name: 'provider_known',
    source: 'https://github.com/aws/aws-sdk-js-v3/issues/5749',
    check: (context) => (findProvider(context) ? undefined : noProvider(context)),
  },
  {
    name: 'token_subject',
    source: 'https://github.com/aws/aws-sdk-ruby/issues/2698 (of aud; assumed of the others)',
    check: ({ token }) => (textClaim(token, 'sub') === '' ? missing('sub') : undefined),
  },
  {
    name: 'token_subject_length',
    source: `${apiPage} (assumed: SubjectFromWebIdentityToken has 6 to 255 characters)`,
    check({ token }) {
      const { length } = textClaim(token, 'sub')
      return length >= 6 && length <= 255 ? undefined : invalidToken('The subject of the token has to be 6 to 255 long')
    },
  },
  {
    name: 'token_audience',
    source: 'https://github.com/aws/aws-sdk-ruby/issues/2698',
    check: ({ token }) => (audiencesOf(token).length === 0 ? missing('aud') : undefined),
  },
  {
    name: 'token_audiences_azp',
    source: `${providerPage} (assumed: several audiences need azp)`,
    check: ({ token }) =>
      audiencesOf(token).length > 1 && textClaim(token, 'azp') === ''
        ? invalidToken('Incorrect token audience')
        : undefined,
  },
  {
    name: 'token_audience_registered',
    source: troublePage,
    check: (context) =>
      findProvider(context)?.clientIds.includes(effectiveAudience(context.token))
        ? undefined
        : invalidToken('Incorrect token audience'),
  },
  {
    name: 'token_expiry',
    source: `${providerPage} (assumed)`,
    check: ({ token }) => (typeof token.claims['exp'] === 'number' ? undefined : missing('exp')),
  },
  {
    name: 'token_issued_at',
    source: `${providerPage} (iat is among the claims_supported that it asks for)`,
    check: ({ token }) => (typeof token.claims['iat'] === 'number' ? undefined : missing('iat')),
  },
  {
    name: 'token_times_integers',
    source: `${apiPage} (assumed: "Timestamps in the token must be formatted as either an integer or a long integer")`,
    check({ token: { claims } }) {
      const times = [claims['exp'], claims['iat'], claims['nbf'] ?? 0]
      return times.every(Number.isSafeInteger)
        ? undefined
        : invalidToken('The ID Token has a timestamp that is no integer')
    },
  },
  {
    name: 'token_expired',
    source: `${apiPage} (ExpiredTokenException; assumed: no leeway)`,
    check({ token, now }) {
      const seconds = Math.floor(now.getTime() / 1000)
      const exp = Number(token.claims['exp'])
      if (seconds < exp) return undefined
      const message = `Token expired: current date/time ${seconds} must be before the expiration date/time ${exp}`
      return { status: 400, code: 'ExpiredTokenException', message }
    },
  },
  {
    name: 'token_issued_in_future',
    source: `${apiPage} (assumed, text and leeway)`,
    check: ({ token, now }) =>
      isFuture(token.claims['iat'], now) ? invalidToken('The ID Token was issued in the future') : undefined,
  },
  {
    name: 'token_not_yet_valid',
    source: `${apiPage} (assumed, text and leeway)`,
    check: ({ token, now }) =>
      isFuture(token.claims['nbf'], now) ? invalidToken('The ID Token is not valid yet') : undefined,
  },
]

function isFuture(seconds: unknown, now: Date): boolean {
  return typeof seconds === 'number' && seconds > now.getTime() / 1000 + awsLeewaySeconds
}

const neededMembers = [
  'issuer',
  'jwks_uri',
  'claims_supported',
  'response_types_supported',
  'id_token_signing_alg_values_supported',
  'subject_types_supported',
]
const neededClaims = ['aud', 'iat', 'iss', 'sub']

export const awsIssuerRules: readonly Rule<AwsIssuerContext, AwsProblem>[] = [
  {
    name: 'issuer_reached',
    source: apiPage,
    check: ({ documents }) =>
      hasFailure(documents, ['unreachable'])
        ? { status: 400, code: 'IDPCommunicationError', message: 'The identity provider could not be reached.' }
        : undefined,
  },
  failed('issuer_deadline', `${troublePage} (5 seconds)`, ['deadline']),
  {
    name: 'issuer_tls',
    source: thumbprintPage,
    check: ({ documents }) => (hasFailure(documents, ['tls']) ? wrongThumbprint : undefined),
  },
  {
    name: 'issuer_thumbprint',
    source: thumbprintPage,
    check({ documents: { jwks, discovery }, publicCas, provider }) {
      const top = (jwks ?? discovery).topCertificate
      if (!top || publicCas.has(top.sha256)) return undefined
      const configured = (provider.thumbprints ?? []).map((thumbprint) => thumbprint.toLowerCase())
      return configured.includes(top.sha1) ? undefined : wrongThumbprint
    },
  },
  failed('issuer_no_redirect', `${troublePage} (assumed)`, ['redirect']),
  failed('issuer_status', troublePage, ['status']),
  failed('issuer_json', troublePage, ['not_json', 'too_large']),
  {
    name: 'discovery_issuer',
    source: providerPage,
    check: ({ documents, token }) =>
      documents.discovery.members['issuer'] === textClaim(token, 'iss') ? undefined : keyNotRetrieved,
  },
  {
    name: 'discovery_members',
    source: `${providerPage} and https://github.com/concourse/concourse/pull/9224`,
    check({ documents: { discovery } }) {
      const lacks = neededMembers.some((name) => discovery.members[name] === undefined)
      const claims = discovery.members['claims_supported']
      const lacksClaims = !Array.isArray(claims) || neededClaims.some((name) => !claims.includes(name))
      return lacks || lacksClaims ? keyNotRetrieved : undefined
    },
  },
  {
    name: 'discovery_algorithm',
    source: `${providerPage} (assumed: id_token_signing_alg_values_supported has what is used)`,
    check({ documents: { discovery } }) {
      const listed = discovery.members['id_token_signing_alg_values_supported']
      return Array.isArray(listed) && listed.some((alg) => algorithms.has(alg)) ? undefined : keyNotRetrieved
    },
  },
  failed('jwks_uri_https', providerPage, ['address']),
  {
    name: 'jwks_size',
    source: limitsPage,
    check: ({ documents: { keys } }) =>
      ['RSA', 'EC'].some((kty) => keys.filter((key) => key['kty'] === kty).length > 100) ? keyNotRetrieved : undefined,
  },
  {
    name: 'key_known',
    source: troublePage,
    check: (context) => (findKey(context) ? undefined : keyNotRetrieved),
  },
  {
    name: 'signature',
    source: `${apiPage} (assumed, the text)`,
    check: (context) =>
      verifiesWith(context.token, findKey(context) ?? {})
        ? undefined
        : invalidToken('The signature of the ID Token is not valid'),
  },
]

const wrongThumbprint = invalidToken("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint")

function findKey({ documents, token }: AwsIssuerContext): Jwk | undefined {
  return documents.keys.find((key) => key['kid'] === token.header['kid'])
}

function failed(name: string, source: string, kinds: readonly FetchFailure[]): Rule<AwsIssuerContext, AwsProblem> {
  return { name, source, check: ({ documents }) => (hasFailure(documents, kinds) ? keyNotRetrieved : undefined) }
}

export function hasFailure({ discovery, jwks }: IssuerDocuments, kinds: readonly FetchFailure[]): boolean {
  const failure = discovery.failure ?? jwks?.failure
  return failure !== undefined && kinds.includes(failure)
}
