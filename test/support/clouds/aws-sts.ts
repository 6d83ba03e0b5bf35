/**
 * A strict double of AWS STS: `AssumeRoleWithWebIdentity` and `GetCallerIdentity`.
 *
 * @module
 */
import { randomBytes, X509Certificate } from 'node:crypto'
import {
  type AwsOidcProvider,
  type AwsState,
  awsProviderRules,
  createAwsOidcProvider,
  makeAwsId,
} from './aws-account.ts'
import { awsCallerRules, awsKeyRules, awsSignedRules } from './aws-caller-rules.ts'
import { awsActionRules, awsRequestRules, policyArnsOf } from './aws-request-rules.ts'
import {
  type AwsRoleContext,
  awsRoleRules,
  packedPercent,
  roleOf,
  sessionTags,
  sourceIdentity,
} from './aws-role-rules.ts'
import { readAwsSignature } from './aws-signature.ts'
import { awsClaimsRules, awsIssuerRules, awsTokenRules, effectiveAudience, findProvider } from './aws-token-rules.ts'
import { type AwsMembers, type AwsProblem, formatAwsProblem, formatAwsResult } from './aws-wire.ts'
import {
  type CloudAnswer,
  type CloudOptions,
  type CloudServer,
  type LoggedRequest,
  startCloudServer,
} from './cloud-server.ts'
import { createIssuerCache, type IssuerCache } from './issuer-documents.ts'
import { readToken, textClaim } from './presented-token.ts'
import { type Broken, firstBroken, namesOf } from './rules.ts'

export interface AwsStsOptions extends CloudOptions {
  /** PEM of CAs that are not in the library of AWS: an issuer under them needs a thumbprint. */
  readonly privateCas?: readonly string[]
  /** Signatures have to be for it; by default the host says, where it is one of AWS. */
  readonly region?: string
  /** Whether `Accept: application/json` has JSON answers; true by default. */
  readonly json?: boolean
}

export interface AwsSts extends CloudServer {
  readonly state: AwsState
  /** @throws {CloudRefusal} as `CreateOpenIDConnectProvider` refuses */
  readonly createOidcProvider: (provider: AwsOidcProvider) => void
}

/** Every rule of this double. */
export const awsRuleNames: readonly string[] = namesOf(
  awsActionRules,
  awsRequestRules,
  awsTokenRules,
  awsClaimsRules,
  awsIssuerRules,
  awsRoleRules,
  awsCallerRules,
  awsSignedRules,
  awsKeyRules,
  awsProviderRules,
)

/** How long STS keeps keys is not published. */
const keyCache = { maxAgeSeconds: 3600, unknownKidPauseSeconds: 60 }

type Outcome<Result> = { readonly broken: Broken<AwsProblem> } | { readonly result: Result }

export async function startAwsSts(options: AwsStsOptions): Promise<AwsSts> {
  const now = options.now ?? (() => new Date())
  const state: AwsState = { providers: [], roles: new Map(), accessKeys: new Map() }
  const cache = createIssuerCache(options, { ...keyCache, ...options.keyCache }, now, options.privateCas)
  const deps: StsDeps = { state, now, cache, region: options.region, publicCas: fingerprints(options.publicCas) }
  const isJson = (request: LoggedRequest) =>
    (options.json ?? true) && /\bapplication\/json\b/.test(request.headers['accept'] ?? '')

  async function respond(request: LoggedRequest): Promise<CloudAnswer> {
    const parameters = parametersOf(request)
    const action = parameters.get('Action') ?? ''
    const outcome = await act(deps, action, request, parameters)
    if ('result' in outcome) return formatAwsResult(action, outcome.result, isJson(request))
    return formatAwsProblem(outcome.broken.problem, isJson(request), outcome.broken.rule)
  }

  const server = await startCloudServer({
    authority: options.authority,
    now,
    respond,
    failWith: (fault, request) =>
      formatAwsProblem(fault.kind === 'throttle' ? throttled : broken(fault.status), isJson(request)),
  })
  return { ...server, state, createOidcProvider: (provider) => createAwsOidcProvider(state, provider) }
}

const throttled: AwsProblem = { status: 400, code: 'Throttling', message: 'Rate exceeded' }

function broken(status = 503): AwsProblem {
  if (status === 500) return { status, code: 'InternalFailure', message: 'We encountered an internal error.' }
  return { status, code: 'ServiceUnavailable', message: 'Service is unable to handle request.' }
}

interface StsDeps {
  readonly state: AwsState
  readonly now: () => Date
  readonly cache: IssuerCache
  readonly region: string | undefined
  readonly publicCas: ReadonlySet<string>
}

function fingerprints(pems: readonly string[]): ReadonlySet<string> {
  return new Set(pems.map((pem) => new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()))
}

/** Query and form are one, as in the AWS Query protocol. */
function parametersOf(request: LoggedRequest): URLSearchParams {
  const isForm = /^application\/x-www-form-urlencoded/i.test(request.headers['content-type'] ?? '')
  return new URLSearchParams([
    ...new URLSearchParams(request.search),
    ...new URLSearchParams(isForm ? request.body : ''),
  ])
}

async function act(
  deps: StsDeps,
  action: string,
  request: LoggedRequest,
  parameters: URLSearchParams,
): Promise<Outcome<AwsMembers>> {
  const unknown = firstBroken(awsActionRules, { action, version: parameters.get('Version') })
  if (unknown) return { broken: unknown }
  if (action === 'GetCallerIdentity') return identifyCaller(deps, request, parameters)
  return assumeRole(deps, request, parameters)
}

async function assumeRole(deps: StsDeps, request: LoggedRequest, form: URLSearchParams): Promise<Outcome<AwsMembers>> {
  const asked = { request, form }
  const malformed = firstBroken(awsRequestRules, asked)
  if (malformed) return { broken: malformed }

  const token = readToken(form.get('WebIdentityToken') ?? '')
  const unread = firstBroken(awsTokenRules, { ...asked, token })
  if (unread || !token) return { broken: unread ?? never('token') }

  const claimed = { ...asked, token, role: roleOf(form), now: deps.now(), providers: deps.state.providers }
  const wrongClaims = firstBroken(awsClaimsRules, claimed)
  const provider = findProvider(claimed)
  if (wrongClaims || !provider) return { broken: wrongClaims ?? never('provider') }

  const documents = await deps.cache.load(provider.url, String(token.header['kid']))
  const vouched = { ...claimed, provider, documents, publicCas: deps.publicCas }
  const unverified = firstBroken(awsIssuerRules, vouched)
  if (unverified) return { broken: unverified }
  deps.cache.keep(provider.url, documents)

  const context = { ...vouched, grantedRole: deps.state.roles.get(form.get('RoleArn') ?? '') }
  const untrusted = firstBroken(awsRoleRules, context)
  return untrusted ? { broken: untrusted } : { result: issueSession(deps, context) }
}

function never(what: string): never {
  throw new Error(`the rules let a missing ${what} pass`)
}

function issueSession({ state, now }: StsDeps, context: AwsRoleContext): AwsMembers {
  const { form, token, provider, role } = context
  const sessionName = form.get('RoleSessionName') ?? ''
  const userId = `${makeAwsId('AROA')}:${sessionName}`
  const source = sourceIdentity(token)
  const policy = form.get('Policy') ?? undefined
  const key = {
    accessKeyId: makeAwsId('ASIA'),
    secretAccessKey: randomBytes(30).toString('base64'),
    sessionToken: randomBytes(300).toString('base64'),
    expiresAt: new Date(now().getTime() + Number(form.get('DurationSeconds') ?? 3600) * 1000),
    arn: `arn:${role.partition}:sts::${role.account}:assumed-role/${role.name.split('/').at(-1)}/${sessionName}`,
    userId,
    account: role.account,
    session: {
      roleArn: form.get('RoleArn') ?? '',
      subject: textClaim(token, 'sub'),
      tags: sessionTags(token),
      policyArns: policyArnsOf(form),
      ...(source !== undefined && { sourceIdentity: source }),
      ...(policy !== undefined && { policy }),
    },
  }
  state.accessKeys.set(key.accessKeyId, key)
  const packed = packedPercent(context)
  return {
    Credentials: {
      AccessKeyId: key.accessKeyId,
      SecretAccessKey: key.secretAccessKey,
      SessionToken: key.sessionToken,
      Expiration: key.expiresAt,
    },
    SubjectFromWebIdentityToken: textClaim(token, 'sub'),
    AssumedRoleUser: { AssumedRoleId: userId, Arn: key.arn },
    PackedPolicySize: packed === 0 ? undefined : packed,
    Provider: provider.url,
    Audience: effectiveAudience(token),
    SourceIdentity: source,
  }
}

function identifyCaller(deps: StsDeps, request: LoggedRequest, parameters: URLSearchParams): Outcome<AwsMembers> {
  const signature = readAwsSignature(request)
  const region = deps.region ?? regionOf(request.headers['host'] ?? '')
  const asked = { request, version: parameters.get('Version'), signature, now: deps.now(), service: 'sts', region }
  const unsigned = firstBroken(awsCallerRules, asked)
  if (unsigned || !signature) return { broken: unsigned ?? never('signature') }

  const signed = { ...asked, signature }
  const malformed = firstBroken(awsSignedRules, signed)
  if (malformed) return { broken: malformed }

  const key = deps.state.accessKeys.get(signature.credential[0] ?? '')
  const mismatched = firstBroken(awsKeyRules, { ...signed, key })
  if (mismatched || !key) return { broken: mismatched ?? never('access key') }
  return { result: { Arn: key.arn, UserId: key.userId, Account: key.account } }
}

function regionOf(host: string): string | undefined {
  const [, global, region] =
    /^(?:(sts)|sts(?:-fips)?\.([a-z0-9-]+))\.amazonaws\.com(?:\.cn)?(?::\d+)?$/.exec(host) ?? []
  return global === undefined ? region : 'us-east-1'
}
