/**
 * Google Cloud: a token of ours for a federated access token of a workload identity pool, and that one, where the target
 * names a service account, for an access token of it.
 *
 * @see {@link https://docs.cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token Token exchange}
 * @see {@link https://docs.cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken generateAccessToken}
 * @module
 */
// The one part of the library that is needed: its entry point loads metadata servers, proxies and loggers as well.
import {
  StsCredentials,
  type StsCredentialsConstructionOptions,
} from 'google-auth-library/build/src/auth/stscredentials.js'
import { type CloudAnswer, CloudError, type CloudExchange, type ExchangeAtCloud } from '../../core/cloud.ts'
import { type GcpTargetDocument, lifetimeSecondsOf } from '../../core/config-targets.ts'
import { isJsonObject } from '../../protocol/json.ts'
import type { HttpAnswer, HttpRequest } from '../http-client.ts'
import {
  buildCloudError,
  buildMalformedError,
  cleanId,
  type Fix,
  readExpiresIn,
  readMembers,
  secretOf,
  textOf,
} from './cloud-refusal.ts'
import type { CloudDeps } from './index.ts'
import { createWire, type Wire } from './wire.ts'

export function createGcpExchange({ clients, now }: CloudDeps): ExchangeAtCloud {
  return async (exchange) => {
    const document = exchange.target.document as GcpTargetDocument
    const places = gcpPlaces(document)
    const wire = createWire(clients.of(exchange.target, Object.values(places)), exchange.signal)
    const federated = await exchangeToken(exchange, places.token, wire, now)
    if (document.service_account === undefined) return federated
    return impersonate(document, places.impersonation, federated, { wire, now })
  }
}

const cloudPlatform = 'https://www.googleapis.com/auth/cloud-platform'

/** Where requests go. */
export function gcpPlaces(document: GcpTargetDocument): { readonly token: string; readonly impersonation: string } {
  const { universe, token_url: token = `https://sts.${universe}/v1/token`, service_account: account = '-' } = document
  const base = document.impersonation_url ?? `https://iamcredentials.${universe}`
  // It may be named in whole, as in the credential files of Google's libraries.
  const whole = base.endsWith(':generateAccessToken')
  const method = `/v1/projects/-/serviceAccounts/${account}:generateAccessToken`
  return { token, impersonation: whole ? base : `${base.replace(/\/$/, '')}${method}` }
}

type Transporter = NonNullable<StsCredentialsConstructionOptions['transporter']>

async function exchangeToken(
  { target, token }: CloudExchange,
  url: string,
  wire: Wire,
  now: () => Date,
): Promise<CloudAnswer> {
  const { universe, provider, scopes, service_account: account } = target.document as GcpTargetDocument
  const begun = now()
  const transporter: Pick<Transporter, 'request'> = {
    async request(wanted) {
      const answer = await wire.ask(post(url, 'application/x-www-form-urlencoded', String(wanted?.data)))
      const members = readMembers(answer)
      if (answer.status !== 200 || members === undefined)
        throw readExchangeError(answer, { secrets: [token], now: now() })
      return { data: members } as never
    },
  }
  const sts = new StsCredentials({ tokenExchangeEndpoint: url, transporter: transporter as Transporter })
  const given = await sts.exchangeToken({
    grantType: 'urn:ietf:params:oauth:grant-type:token-exchange',
    audience: `//iam.${universe}/${provider}`,
    // What it is then exchanged for has those of the target.
    scope: account === undefined ? [...scopes] : [cloudPlatform],
    requestedTokenType: 'urn:ietf:params:oauth:token-type:access_token',
    subjectToken: token,
    subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt',
  })
  return readFederated({ ...given }, wire.answer(), begun)
}

function post(url: string, type: string, body: string, more: Readonly<Record<string, string>> = {}): HttpRequest {
  const headers = { accept: 'application/json', 'content-type': type, 'user-agent': 'apostille', ...more }
  return { url, method: 'POST', headers, body }
}

type Members = Readonly<Record<string, unknown>>

function readFederated(members: Members, answer: HttpAnswer | undefined, begun: Date): CloudAnswer {
  const accessToken = secretOf(members['access_token'])
  const expiresAt = readExpiresIn(members['expires_in'], begun)
  const bearer = /^bearer$/i.test(textOf(members['token_type']) ?? '')
  if (accessToken === undefined || expiresAt === undefined || !bearer) throw malformed(answer, begun)
  return credentialOf(accessToken, expiresAt, answer)
}

function credentialOf(accessToken: string, expiresAt: Date, answer: HttpAnswer | undefined): CloudAnswer {
  const requestId = requestIdOf(answer)
  return { credential: { type: 'gcp', accessToken, expiresAt }, ...(requestId !== undefined && { requestId }) }
}

function requestIdOf(answer: HttpAnswer | undefined): string | undefined {
  return cleanId(answer?.headers.get('x-goog-request-id') ?? answer?.headers.get('x-request-id') ?? undefined)
}

function malformed(answer: HttpAnswer | undefined, now: Date): CloudError {
  if (answer === undefined) return new CloudError('unreachable', 'the library made no request', { code: 'internal' })
  const what = 'it answered something that is no token answer of Google'
  return buildMalformedError(what, { answer, requestId: requestIdOf(answer), now })
}

interface ReadContext {
  readonly secrets: readonly string[]
  readonly now: Date
}

/** RFC 6749 §5.2. */
export function readExchangeError(answer: HttpAnswer, context: ReadContext): CloudError {
  const members = readMembers(answer)
  const code = textOf(members?.['error'])
  if (code === undefined || answer.status < 400) return readGoogleError(answer, context)
  const text = textOf(members?.['error_description']) ?? ''
  return buildCloudError({ code, text, requestId: requestIdOf(answer) }, { answer, fixes, ...context })
}

interface Impersonating {
  readonly wire: Wire
  readonly now: () => Date
}

async function impersonate(
  document: GcpTargetDocument,
  url: string,
  { credential }: CloudAnswer,
  { wire, now }: Impersonating,
): Promise<CloudAnswer> {
  if (credential.type === 'aws') throw new TypeError('a credential of another cloud')
  const body = JSON.stringify({ scope: document.scopes, lifetime: `${lifetimeSecondsOf(document)}s` })
  const { accessToken: bearer } = credential
  const answer = await wire.ask(post(url, 'application/json', body, { authorization: `Bearer ${bearer}` }))
  const members = answer.status === 200 ? readMembers(answer) : undefined
  if (members === undefined) throw readGoogleError(answer, { secrets: [bearer], now: now() })
  const accessToken = secretOf(members['accessToken'])
  const expiresAt = new Date(textOf(members['expireTime']) ?? Number.NaN)
  if (accessToken === undefined || !(expiresAt > now())) throw malformed(answer, now())
  return credentialOf(accessToken, expiresAt, answer)
}

/** @see {@link https://google.aip.dev/193 AIP-193} */
export function readGoogleError(answer: HttpAnswer, context: ReadContext): CloudError {
  const error = readMembers(answer)?.['error']
  const code = isJsonObject(error) ? textOf(error['status']) : undefined
  if (!isJsonObject(error) || code === undefined || answer.status < 400) return malformed(answer, context.now)
  const text = textOf(error['message']) ?? ''
  return buildCloudError({ code, text, requestId: requestIdOf(answer) }, { answer, fixes, ...context })
}

const fixes: readonly Fix[] = [
  {
    code: 'invalid_grant',
    says: /connecting to the given credential's issuer/i,
    kind: 'unreachable',
    fix: 'Google reads our discovery document and keys over the internet; a key set that was uploaded to the provider has to be well-formed',
  },
  {
    code: 'invalid_grant',
    says: /\bstale\b|\bexpired\b/i,
    kind: 'expired_token',
    fix: 'the clock of this host may be behind',
  },
  {
    code: 'invalid_grant',
    says: /127 bytes/i,
    fix: "map a part of it: google.subject = assertion.sub.extract('spiffe://TRUST-DOMAIN/{id}')",
  },
  {
    code: 'invalid_grant',
    says: /audience/i,
    fix: "the provider needs the target's audience among its allowed audiences",
  },
  { code: 'invalid_grant', says: /issuer/i, fix: "the provider's issuer has to be ours, letter by letter" },
  {
    code: 'invalid_grant',
    fix: 'compare issuer, allowed audiences and keys of the provider with ours, and the clock of this host',
  },
  { code: 'invalid_target', fix: 'the pool or its provider does not exist, is disabled or deleted' },
  { code: 'unauthorized_client', fix: 'the attribute condition of the provider does not hold for this SPIFFE ID' },
  { code: 'invalid_scope', fix: 'check scopes' },
  {
    code: 'PERMISSION_DENIED',
    says: /disabled|has not been used/i,
    fix: 'enable the IAM Service Account Credentials API in the project of the service account',
  },
  {
    code: 'PERMISSION_DENIED',
    fix: "the service account has to grant roles/iam.workloadIdentityUser to the pool's principal of this SPIFFE ID",
  },
  { code: 'NOT_FOUND', fix: 'there is no such service account' },
  {
    code: 'INVALID_ARGUMENT',
    says: /lifetime/i,
    fix: 'a lifetime above 1h needs the organization policy constraints/iam.allowServiceAccountCredentialLifetimeExtension',
  },
  { code: 'RESOURCE_EXHAUSTED', kind: 'throttled', fix: 'Google limits the requests of a project' },
  { code: 'temporarily_unavailable', kind: 'unreachable', fix: 'Google calls this a passing failure' },
  { code: 'server_error', kind: 'unreachable', fix: 'Google calls this a passing failure' },
]
