/**
 * What Vault says instead of an answer → an error for operators: in one line, without anything secret, and with what most
 * likely helps. Vault has no codes, so that its texts tell what a status does not.
 *
 * @see {@link https://developer.hashicorp.com/vault/api-docs#http-status-codes Status codes}
 * @module
 */
import { SourceError, type SourceErrorKind } from '../../core/secret-source.ts'
import { cleanText, readRetryAfter } from '../exchangers/cloud-refusal.ts'
import { type HttpAnswer, UpstreamError, type UpstreamErrorCode } from '../http-client.ts'
import { readErrors, type VaultPlace } from './vault-wire.ts'

/** What is asked for, for people. */
export interface Wanted {
  /** Such as `the secret payments/db`. */
  readonly what: string
  /** What a policy of Vault has to say. */
  readonly right: string
}

export interface NoContext {
  readonly place: VaultPlace
  /** What nobody is to see, should it be repeated. */
  readonly secrets: readonly string[]
  readonly now: Date
}

interface Fix {
  readonly status?: number
  readonly says?: RegExp
  readonly code: string
  readonly kind: SourceErrorKind
  readonly fix?: (place: VaultPlace) => string
}

/** What a mere refusal of the token is, and not of what is asked for. */
export function isTokenRefused(answer: HttpAnswer): boolean {
  return answer.status === 403 && /\b(?:invalid|bad) token\b/.test((readErrors(answer) ?? []).join(' '))
}

/** A question that was answered with neither success nor absence. */
export function explainNo(answer: HttpAnswer, { what, right }: Wanted, context: NoContext): SourceError {
  const forbidden: Fix = { status: 403, code: 'permission_denied', kind: 'forbidden', fix: () => `permit ${right}` }
  return explain(answer, what, [...ofServer, missingEngine, forbidden], context)
}

/** A login that was answered with no token. */
export function explainLogin(answer: HttpAnswer, context: NoContext): SourceError {
  return explain(answer, 'the login', [...ofServer, ...ofLogin], context)
}

/** A question that was answered with 404 for another reason than that nothing is there; undefined where that is it. */
export function explainAbsence(answer: HttpAnswer, { what }: Wanted, context: NoContext): SourceError | undefined {
  const errors = readErrors(answer)
  return errors?.length === 0 ? undefined : explain(answer, what, [missingEngine], context)
}

/** What is mounted where KV v2 is looked for. */
export function explainMount({ mount }: VaultPlace, found: string): SourceError {
  const text = `${found} is mounted at ${mount}, and not KV v2: let mount name a KV v2 engine, or upgrade it (vault kv enable-versioning ${mount})`
  return new SourceError('refused', text, { code: 'not_kv2' })
}

/** What kept a request from being answered; anything that is no failure of a service as it is. */
export function explained(error: unknown, place: VaultPlace): unknown {
  if (!(error instanceof UpstreamError)) return error
  const { kind, fix } = failures[error.code] ?? { kind: 'unreachable' as const }
  const message = fix === undefined ? error.message : `${error.message}: ${fix(place)}`
  return new SourceError(kind, message, {
    code: error.code,
    cause: error,
    ...(error.status !== undefined && { status: error.status }),
  })
}

/** @throws {SourceError} for an answer that no Vault gives */
export function readFrom<T>(answer: HttpAnswer, place: VaultPlace, read: (answer: HttpAnswer) => T): T {
  try {
    return read(answer)
  } catch (error) {
    throw explained(error, place)
  }
}

type Failure = Pick<Fix, 'kind' | 'fix'>

const failures: Partial<Record<UpstreamErrorCode, Failure>> = {
  tls: { kind: 'refused', fix: () => 'ca_file has to hold the authority of the certificate of Vault' },
  redirect: {
    kind: 'refused',
    fix: () =>
      'it is a standby that sends clients elsewhere: let address name the active server, or what stands before all of them',
  },
  too_large: { kind: 'unreadable', fix: () => 'a folder or a secret is larger than anything that is synced' },
}

const ofServer: readonly Fix[] = [
  {
    status: 503,
    says: /sealed/i,
    code: 'sealed',
    kind: 'unreachable',
    fix: ({ address }) => `unseal ${address}`,
  },
  {
    status: 500,
    says: /not active/,
    code: 'standby',
    kind: 'unreachable',
    fix: () => 'it is a standby whose cluster has no active server',
  },
  { status: 429, code: 'rate_limited', kind: 'throttled', fix: () => 'a rate limit quota of Vault holds it back' },
  // A standby that does not know of the login yet, which another one answered.
  { status: 412, code: 'not_replicated', kind: 'unreachable' },
]

const missingEngine: Fix = {
  status: 404,
  says: /no handler for route/,
  code: 'no_such_mount',
  kind: 'refused',
  fix: ({ mount, namespace }) => `nothing is mounted at ${mount}${inNamespace(namespace)}`,
}

const loginFix = (says: RegExp, code: string, fix: (place: VaultPlace) => string): Fix => ({
  says,
  code,
  kind: 'forbidden',
  fix,
})

const ofLogin: readonly Fix[] = [
  {
    status: 403,
    code: 'no_login',
    kind: 'forbidden',
    fix: ({ authMount, namespace }) => `a login by JWT has to be enabled at auth/${authMount}${inNamespace(namespace)}`,
  },
  {
    says: /fetching keys|dial tcp/,
    code: 'no_keys',
    kind: 'unreachable',
    fix: () =>
      'it reads our keys at jwks_url or oidc_discovery_url, over https and with the CA that its configuration has',
  },
  loginFix(/could not load configuration/, 'not_configured', ({ authMount }) => `write auth/${authMount}/config`),
  loginFix(/role .*could not be found/, 'no_role', ({ authMount, role }) => `write auth/${authMount}/role/${role}`),
  loginFix(
    /\(aud\) claim/,
    'audience',
    ({ role }) => `bound_audiences of ${role} has to list the audience of the source`,
  ),
  loginFix(
    /\(sub\) claim|claim "sub"/,
    'subject',
    ({ role }) => `bound_subject or bound_claims of ${role} has to admit the SPIFFE ID of the sync`,
  ),
  loginFix(/claim "/, 'claims', ({ role }) => `bound_claims of ${role} ask for what our token has not`),
  loginFix(/\(iss\) claim/, 'issuer', () => 'bound_issuer of the login has to be our issuer, letter by letter'),
  loginFix(/\((?:exp|nbf|iat)\) claim/, 'clock', () => 'the clock of Vault and ours differ'),
  loginFix(/\(alg\) header/, 'algorithm', () => 'jwt_supported_algs of the login has to list what our keys sign with'),
  loginFix(
    /signature/,
    'signature',
    () => 'jwks_url or oidc_discovery_url of the login has to lead to our key set, and no other',
  ),
]

function inNamespace(namespace: VaultPlace['namespace']): string {
  return namespace === undefined ? '' : ` in the namespace ${namespace}`
}

function explain(answer: HttpAnswer, what: string, fixes: readonly Fix[], context: NoContext): SourceError {
  const { status, headers } = answer
  const errors = readErrors(answer)
  const said = cleanText((errors ?? []).map(withoutCount).join('; '), context.secrets)
  const found = fixes.find(
    (fix) => (fix.status === undefined || fix.status === status) && (fix.says === undefined || fix.says.test(said)),
  )
  const kind = found?.kind ?? kindOf(status, errors)
  const texts = [
    `${what}: ${errors === undefined ? 'no answer of Vault' : said === '' ? 'no reason is given' : `Vault says '${said}'`}`,
    found?.fix?.(context.place),
  ]
  const retryAfterSeconds = readRetryAfter(headers.get('retry-after'), context.now)
  return new SourceError(kind, texts.filter(Boolean).join('; '), {
    code: found?.code ?? `http_${status}`,
    status,
    ...(retryAfterSeconds !== undefined && (kind === 'throttled' || kind === 'unreachable') && { retryAfterSeconds }),
  })
}

/** Of a list of errors that is one text. */
function withoutCount(error: string): string {
  const [, list] = /^\d+ errors? occurred:\s*\* (.*)$/s.exec(error) ?? []
  return (
    list
      ?.trim()
      .split(/\s*\n\s*\* /)
      .join('; ') ?? error
  )
}

/** What is none of Vault's answers is of something between. */
function kindOf(status: number, errors: readonly string[] | undefined): SourceErrorKind {
  if (status === 429) return 'throttled'
  return status >= 500 || status === 408 || errors === undefined ? 'unreachable' : 'refused'
}
