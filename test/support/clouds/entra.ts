/**
 * A strict double of the token endpoint of Microsoft Entra ID, for federated credentials.
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
import {
  createDirectoryWriter,
  type DirectoryWriter,
  type EntraState,
  federatedCredentialRules,
} from './entra-directory.ts'
import {
  entraClaimsRules,
  entraIssuerRules,
  entraRequestRules,
  entraTokenRules,
  findApp,
  resourceOf,
  resourceScopes,
} from './entra-rules.ts'
import { type EntraProblem, formatEntraAnswer, formatEntraProblem } from './entra-wire.ts'
import { createIssuerCache, type IssuerCache } from './issuer-documents.ts'
import { readToken, textClaim } from './presented-token.ts'
import { type Broken, firstBroken, namesOf } from './rules.ts'

export interface EntraToken {
  readonly accessToken: string
  readonly tenant: string
  readonly clientId: string
  /** Such as `https://vault.azure.net`. */
  readonly resource: string
  /** Of the assertion. */
  readonly subject: string
  readonly expiresAt: Date
}

export interface Entra extends CloudServer, DirectoryWriter {
  readonly state: EntraState
  /** Oldest first. */
  readonly issued: EntraToken[]
}

/** Every rule of this double. */
export const entraRuleNames: readonly string[] = namesOf(
  entraRequestRules,
  entraTokenRules,
  entraClaimsRules,
  entraIssuerRules,
  federatedCredentialRules,
)

/** As the defaults of Microsoft.IdentityModel's ConfigurationManager, save that it keeps documents for 12 hours. */
const keyCache = { maxAgeSeconds: 3600, unknownKidPauseSeconds: 300 }

const lifetimeSeconds = 3599

const resources = [
  'https://graph.microsoft.com',
  'https://management.azure.com',
  'https://storage.azure.com',
  'https://vault.azure.net',
]

interface EntraDeps {
  readonly state: EntraState
  readonly now: () => Date
  readonly cache: IssuerCache
  readonly issued: EntraToken[]
}

export async function startEntra(options: CloudOptions): Promise<Entra> {
  const now = options.now ?? (() => new Date())
  const state: EntraState = { tenants: new Map(), apps: [], resources: new Set(resources), propagationSeconds: 0 }
  const issued: EntraToken[] = []
  const cache = createIssuerCache(options, { ...keyCache, ...options.keyCache }, now)
  const deps: EntraDeps = { state, now, cache, issued }
  const server = await startCloudServer({
    authority: options.authority,
    now,
    mayFail: ({ method }) => method === 'POST',
    failWith: (fault) => failWith(fault, now()),
    respond: (request) => respond(deps, request, server.url),
  })
  return { ...server, state, issued, ...createDirectoryWriter(state, now) }
}

function failWith(fault: AnsweredFault, now: Date): CloudAnswer {
  if (fault.kind === 'unavailable') return formatEntraProblem({ ...transient, status: fault.status ?? 503 }, now)
  const answer = formatEntraProblem(throttled, now)
  const seconds = fault.retryAfterSeconds
  return seconds === undefined ? answer : { ...answer, headers: { ...answer.headers, 'retry-after': String(seconds) } }
}

const throttled: EntraProblem = {
  status: 429,
  error: 'temporarily_unavailable',
  code: 90055,
  message: 'There are too many incoming requests.',
}
const transient: EntraProblem = {
  status: 503,
  error: 'temporarily_unavailable',
  code: 90033,
  message: 'A transient error has occurred. Please try again.',
}

async function respond(deps: EntraDeps, request: LoggedRequest, origin: string): Promise<CloudAnswer> {
  const [, tenant = '', rest = ''] = /^\/([^/]+)\/(.*)$/.exec(request.path) ?? []
  if (request.method === 'GET' && rest === 'v2.0/.well-known/openid-configuration')
    return formatEntraAnswer(metadata(origin, tenant))
  if (request.method !== 'POST' || rest !== 'oauth2/v2.0/token') return { status: 404, body: '' }
  const form = new URLSearchParams(
    /^application\/x-www-form-urlencoded/i.test(request.headers['content-type'] ?? '') ? request.body : '',
  )
  const outcome = await grant(deps, tenant.toLowerCase(), form)
  if ('result' in outcome) return formatEntraAnswer(outcome.result)
  const { rule, problem } = outcome.broken
  const answer = formatEntraProblem(problem, deps.now(), request.headers['client-request-id'])
  return { ...answer, refusedBy: rule }
}

/** The issuer is the true one, as clients compare it with the hosts that they know. */
function metadata(origin: string, tenant: string): Readonly<Record<string, unknown>> {
  return {
    token_endpoint: `${origin}/${tenant}/oauth2/v2.0/token`,
    authorization_endpoint: `${origin}/${tenant}/oauth2/v2.0/authorize`,
    jwks_uri: `${origin}/${tenant}/discovery/v2.0/keys`,
    issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
    response_types_supported: ['code', 'id_token'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
  }
}

type Outcome = { readonly broken: Broken<EntraProblem> } | { readonly result: Readonly<Record<string, unknown>> }

async function grant(deps: EntraDeps, tenant: string, form: URLSearchParams): Promise<Outcome> {
  const asked = { tenant, form, state: deps.state }
  const malformed = firstBroken(entraRequestRules, asked)
  if (malformed) return { broken: malformed }

  const token = readToken(form.get('client_assertion') ?? '')
  const unread = firstBroken(entraTokenRules, { ...asked, token })
  const app = findApp(asked)
  if (unread) return { broken: unread }
  if (!token || !app) throw new Error('the rules let a missing token or application pass')

  const claimed = { ...asked, token, app, now: deps.now() }
  const wrongClaims = firstBroken(entraClaimsRules, claimed)
  if (wrongClaims) return { broken: wrongClaims }

  const issuer = textClaim(token, 'iss')
  const documents = await deps.cache.load(issuer, String(token.header['kid']))
  const unverified = firstBroken(entraIssuerRules, { ...claimed, documents })
  if (unverified) return { broken: unverified }
  deps.cache.keep(issuer, documents)
  const resource = resourceOf(resourceScopes(form)[0] ?? '')
  return { result: issueToken(deps, tenant, app.clientId, resource, textClaim(token, 'sub')) }
}

function issueToken(deps: EntraDeps, tenant: string, clientId: string, resource: string, subject: string) {
  const now = deps.now()
  const expiresAt = new Date(now.getTime() + lifetimeSeconds * 1000)
  const seconds = (date: Date) => Math.floor(date.getTime() / 1000)
  const claims = {
    aud: resource,
    iss: `https://sts.windows.net/${tenant}/`,
    tid: tenant,
    appid: clientId,
    iat: seconds(now),
    exp: seconds(expiresAt),
  }
  const parts = [{ typ: 'JWT', alg: 'RS256', kid: 'double' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  // Opaque to its client (RFC 6749 §1.4), and known here: nobody needs its signature.
  const accessToken = [...parts, randomBytes(256).toString('base64url')].join('.')
  deps.issued.push({ accessToken, tenant, clientId, resource, subject, expiresAt })
  return {
    token_type: 'Bearer',
    expires_in: lifetimeSeconds,
    ext_expires_in: lifetimeSeconds,
    access_token: accessToken,
  }
}
