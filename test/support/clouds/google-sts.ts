/**
 * A strict double of Google's Security Token Service and of IAM Credentials, on one host.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import {
  type AnsweredFault,
  type CloudAnswer,
  type CloudOptions,
  type CloudServer,
  type LoggedRequest,
  startCloudServer,
} from './cloud-server.ts'
import { googleImpersonationRules, lifetimeSeconds, scopesOf } from './google-impersonation.ts'
import {
  createGoogleProvider,
  type GoogleApiProblem,
  type GoogleFederatedToken,
  type GoogleProvider,
  type GoogleServiceAccountToken,
  type GoogleState,
  googleProviderRules,
  poolOf,
} from './google-project.ts'
import {
  type GoogleClaimsContext,
  type GoogleStsProblem,
  googleClaimsRules,
  googleIssuerRules,
  googleMappingRules,
  googleRequestRules,
  googleTokenRules,
  providerNameOf,
  readAttributes,
  secondsLeft,
} from './google-rules.ts'
import { createIssuerCache, type IssuerCache } from './issuer-documents.ts'
import { readToken } from './presented-token.ts'
import { type Broken, firstBroken, namesOf } from './rules.ts'

export interface GoogleSts extends CloudServer {
  readonly state: GoogleState
  /** `<url>/v1/token` */
  readonly tokenUrl: string
  /** Oldest first. */
  readonly federatedTokens: GoogleFederatedToken[]
  /** Oldest first. */
  readonly serviceAccountTokens: GoogleServiceAccountToken[]
  readonly impersonationUrl: (email: string) => string
  /** @throws {CloudRefusal} as the IAM API refuses */
  readonly createProvider: (name: string, provider: GoogleProvider) => void
}

/** Every rule of this double. */
export const googleRuleNames: readonly string[] = namesOf(
  googleRequestRules,
  googleTokenRules,
  googleClaimsRules,
  googleIssuerRules,
  googleMappingRules,
  googleImpersonationRules,
  googleProviderRules,
)

/** How long Google keeps keys is not published. */
const keyCache = { maxAgeSeconds: 3600, unknownKidPauseSeconds: 60 }

const maxLifetimeSeconds = 3600

interface GoogleDeps {
  readonly state: GoogleState
  readonly now: () => Date
  readonly cache: IssuerCache
  readonly federatedTokens: GoogleFederatedToken[]
  readonly serviceAccountTokens: GoogleServiceAccountToken[]
}

export async function startGoogleSts(options: CloudOptions): Promise<GoogleSts> {
  const now = options.now ?? (() => new Date())
  const state: GoogleState = { pools: new Map(), providers: new Map(), serviceAccounts: new Map() }
  const cache = createIssuerCache(options, { ...keyCache, ...options.keyCache }, now)
  const deps: GoogleDeps = { state, now, cache, federatedTokens: [], serviceAccountTokens: [] }
  const server = await startCloudServer({
    authority: options.authority,
    now,
    failWith,
    respond: (request) => respond(deps, request),
  })
  return {
    ...server,
    state,
    tokenUrl: `${server.url}/v1/token`,
    federatedTokens: deps.federatedTokens,
    serviceAccountTokens: deps.serviceAccountTokens,
    impersonationUrl: (email) => `${server.url}/v1/projects/-/serviceAccounts/${email}:generateAccessToken`,
    createProvider: (name, provider) => createGoogleProvider(state, name, provider),
  }
}

function failWith(fault: AnsweredFault): CloudAnswer {
  if (fault.kind === 'unavailable') {
    const status = fault.status ?? 503
    const code = status === 503 ? 'UNAVAILABLE' : 'INTERNAL'
    return formatApiProblem({ status, code, message: 'The service is currently unavailable.' })
  }
  const answer = formatApiProblem({ status: 429, code: 'RESOURCE_EXHAUSTED', message: 'Quota exceeded.' })
  const seconds = fault.retryAfterSeconds
  return seconds === undefined ? answer : { ...answer, headers: { ...answer.headers, 'retry-after': String(seconds) } }
}

async function respond(deps: GoogleDeps, request: LoggedRequest): Promise<CloudAnswer> {
  if (request.method !== 'POST') return formatApiProblem(notFound)
  if (request.path === '/v1/token') return exchange(deps, request)
  const match = /^\/v1\/projects\/([^/]+)\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(
    decodeURIComponent(request.path),
  )
  return match ? impersonate(deps, request, match[1] ?? '', match[2] ?? '') : formatApiProblem(notFound)
}

const notFound: GoogleApiProblem = { status: 404, code: 'NOT_FOUND', message: 'The requested URL was not found.' }
const headers = { 'content-type': 'application/json; charset=UTF-8', 'cache-control': 'no-cache, no-store' }

function formatAnswer(members: object): CloudAnswer {
  return { status: 200, headers, body: JSON.stringify(members) }
}

function formatApiProblem({ status, code, message }: GoogleApiProblem, rule?: string): CloudAnswer {
  const body = JSON.stringify({ error: { code: status, message, status: code } })
  return { status, headers, body, ...(rule !== undefined && { refusedBy: rule }) }
}

async function exchange(deps: GoogleDeps, request: LoggedRequest): Promise<CloudAnswer> {
  const outcome = await federate(deps, request)
  if ('result' in outcome) return formatAnswer(outcome.result)
  const { rule, problem } = outcome.broken
  const body = JSON.stringify({ error: problem.error, error_description: problem.message })
  return { status: 400, headers, body, refusedBy: rule }
}

type Outcome = { readonly broken: Broken<GoogleStsProblem> } | { readonly result: object }

async function federate(deps: GoogleDeps, { fields }: LoggedRequest): Promise<Outcome> {
  const asked = { fields, state: deps.state }
  const malformed = firstBroken(googleRequestRules, asked)
  if (malformed) return { broken: malformed }

  const token = readToken(fields['subject_token'] ?? '')
  const unread = firstBroken(googleTokenRules, { ...asked, token })
  if (unread) return { broken: unread }

  const providerName = providerNameOf(fields)
  const provider = deps.state.providers.get(providerName)
  if (!token || !provider) throw new Error('the rules let a missing token or provider pass')
  const claimed = { ...asked, token, providerName, provider, now: deps.now() }
  const wrongClaims = firstBroken(googleClaimsRules, claimed)
  if (wrongClaims) return { broken: wrongClaims }

  const { issuerUri, jwksJson } = provider.oidc
  const documents = jwksJson === undefined ? await deps.cache.load(issuerUri, String(token.header['kid'])) : undefined
  const unverified = firstBroken(googleIssuerRules, { ...claimed, documents })
  if (unverified) return { broken: unverified }
  if (documents) deps.cache.keep(issuerUri, documents)

  const attributes = readAttributes(claimed)
  const unmapped = firstBroken(googleMappingRules, { ...claimed, attributes })
  return unmapped ? { broken: unmapped } : { result: issueFederatedToken(deps, claimed, attributes ?? {}) }
}

function issueFederatedToken(
  deps: GoogleDeps,
  context: GoogleClaimsContext,
  attributes: GoogleFederatedToken['attributes'],
): object {
  const expiresIn = Math.min(secondsLeft(context), maxLifetimeSeconds)
  const accessToken = `ya29.d.${randomBytes(400).toString('base64url')}`
  deps.federatedTokens.push({
    accessToken,
    pool: poolOf(context.providerName),
    attributes,
    scopes: (context.fields['scope'] ?? '').split(' '),
    expiresAt: new Date(context.now.getTime() + expiresIn * 1000),
  })
  return {
    access_token: accessToken,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: expiresIn,
  }
}

function impersonate(deps: GoogleDeps, request: LoggedRequest, project: string, email: string): CloudAnswer {
  const authorization = request.headers['authorization']
  const bearer = authorization?.replace(/^Bearer /, '')
  const context = {
    authorization,
    project,
    body: readBody(request.body),
    federated: deps.federatedTokens.find(({ accessToken }) => accessToken === bearer),
    account: deps.state.serviceAccounts.get(email),
    now: deps.now(),
  }
  const broken = firstBroken(googleImpersonationRules, context)
  if (broken) return formatApiProblem(broken.problem, broken.rule)

  const accessToken = `ya29.c.${randomBytes(400).toString('base64url')}`
  const expiresAt = new Date(context.now.getTime() + lifetimeSeconds(context) * 1000)
  deps.serviceAccountTokens.push({ accessToken, email, scopes: scopesOf(context), expiresAt })
  return formatAnswer({ accessToken, expireTime: `${expiresAt.toISOString().slice(0, 19)}Z` })
}

function readBody(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}
