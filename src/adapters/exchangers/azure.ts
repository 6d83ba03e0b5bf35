/**
 * Azure: a token of ours for an access token of Entra, as the client assertion of an application's federated credential.
 *
 * @see {@link https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow Client credentials}
 * @see {@link https://learn.microsoft.com/entra/identity-platform/reference-error-codes Error codes}
 * @module
 */
import { ClientAssertionCredential, type ClientAssertionCredentialOptions } from '@azure/identity'
import { type CloudAnswer, CloudError, type CloudExchange, type ExchangeAtCloud } from '../../core/cloud.ts'
import type { AzureTargetDocument } from '../../core/config-targets.ts'
import type { HttpAnswer } from '../http-client.ts'
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

export function createAzureExchange({ clients, now }: CloudDeps): ExchangeAtCloud {
  return async (exchange) => {
    const document = exchange.target.document as AzureTargetDocument
    const url = tokenUrl(document)
    const wire = createWire(clients.of(exchange.target, [url]), exchange.signal)
    const begun = now()
    try {
      await createCredential(exchange, url, wire).getToken([...document.scopes])
    } catch {
      // What the library says of it is a part of the answer, which is read below.
      const answer = wire.answer()
      if (answer === undefined) throw wire.failure() ?? internal
      throw readTokenError(answer, { secrets: [exchange.token], now: now() })
    }
    return readToken(wire.answer(), begun)
  }
}

const internal = new CloudError('unreachable', 'the library made no request', { code: 'internal' })

export function tokenUrl({ authority_host: host, tenant }: AzureTargetDocument): string {
  return `${host.replace(/\/$/, '')}/${tenant}/oauth2/v2.0/token`
}

/** What the library knows by heart, so that it looks for the endpoints of no host. */
const knownAuthority = 'https://login.microsoftonline.com'

type LibraryClient = NonNullable<ClientAssertionCredentialOptions['httpClient']>
type LibraryAnswer = Awaited<ReturnType<LibraryClient['sendRequest']>>

/** A new one for each exchange: it keeps tokens, and asks the token's client and scopes only whether one fits. */
function createCredential({ target, token }: CloudExchange, url: string, wire: Wire): ClientAssertionCredential {
  const { tenant, client_id: clientId } = target.document as AzureTargetDocument
  const httpClient: LibraryClient = {
    async sendRequest(request): Promise<LibraryAnswer> {
      const headers = request.headers
      // Regions and endpoints, which the library would look for at metadata services and elsewhere.
      if (request.method !== 'POST') return { request, headers, status: 404, bodyAsText: '{}' }
      const { status, text } = await wire.ask({
        url,
        method: 'POST',
        headers: {
          accept: 'application/json',
          'content-type': 'application/x-www-form-urlencoded',
          'user-agent': 'apostille',
        },
        body: keepProtocol(String(request.body)),
      })
      return { request, headers, status, bodyAsText: text }
    },
  }
  return new ClientAssertionCredential(tenant, clientId, async () => token, {
    authorityHost: knownAuthority,
    disableInstanceDiscovery: true,
    retryOptions: { maxRetries: 0 },
    httpClient,
  })
}

const protocolFields = ['client_id', 'scope', 'grant_type', 'client_assertion_type', 'client_assertion']

/** The library's form without what it tells of itself and of this machine. */
function keepProtocol(form: string): string {
  const fields = [...new URLSearchParams(form)].filter(([name]) => protocolFields.includes(name))
  return new URLSearchParams(fields).toString()
}

export function readToken(answer: HttpAnswer | undefined, begun: Date): CloudAnswer {
  const members = answer && readMembers(answer)
  const accessToken = secretOf(members?.['access_token'])
  const expiresAt = readExpiresIn(members?.['expires_in'], begun)
  const bearer = /^bearer$/i.test(textOf(members?.['token_type']) ?? '')
  if (answer === undefined) throw internal
  const requestId = requestIdOf(answer, members)
  if (accessToken === undefined || expiresAt === undefined || !bearer) throw malformed(answer, begun, requestId)
  return {
    credential: { type: 'azure', accessToken, expiresAt },
    ...(requestId !== undefined && { requestId }),
  }
}

type Members = Readonly<Record<string, unknown>>

function requestIdOf({ headers }: HttpAnswer, members: Members = {}): string | undefined {
  const header = headers.get('x-ms-request-id') ?? undefined
  return cleanId(textOf(members['trace_id']) ?? header ?? textOf(members['correlation_id']))
}

function malformed(answer: HttpAnswer, now: Date, requestId: string | undefined): CloudError {
  return buildMalformedError('it answered something that is no token answer of Entra', { answer, requestId, now })
}

export function readTokenError(
  answer: HttpAnswer,
  context: { readonly secrets: readonly string[]; readonly now: Date },
): CloudError {
  const members = readMembers(answer)
  const error = textOf(members?.['error'])
  const requestId = requestIdOf(answer, members)
  if (error === undefined || answer.status < 400) return malformed(answer, context.now, requestId)
  // The trace id at the end of it has a field of its own.
  const text = (textOf(members?.['error_description']) ?? '').split(/\s*Trace ID:/, 1)[0] ?? ''
  return buildCloudError({ code: codeOf(members, text) ?? error, text, requestId }, { answer, fixes, ...context })
}

/** Microsoft advises against programs that depend on these codes: they say here what to tell people, and what to try again. */
function codeOf(members: Members | undefined, text: string): string | undefined {
  const codes = members?.['error_codes']
  const first: unknown = Array.isArray(codes) ? codes[0] : undefined
  return Number.isSafeInteger(first) ? `AADSTS${first}` : /^AADSTS\d+/.exec(text)?.[0]
}

const transient = (code: string): Fix => ({ code, kind: 'unreachable', fix: 'Entra calls this a passing failure' })
const unread = (code: string): Fix => ({
  code,
  kind: 'unreachable',
  fix: 'Entra reads our discovery document and keys over the internet, without redirects',
})
const throttled = (code: string): Fix => ({ code, kind: 'throttled', fix: 'Entra limits the requests of a client' })

const fixes: readonly Fix[] = [
  {
    code: 'AADSTS70021',
    fix: 'the application has no federated credential of this issuer, subject and audience; a new one takes some minutes to be known everywhere',
  },
  {
    code: 'AADSTS700211',
    fix: 'the issuer of the federated credential has to be ours, letter by letter, slash at the end included',
  },
  { code: 'AADSTS700212', fix: "the audience of the federated credential has to be the target's" },
  { code: 'AADSTS7002121', fix: "the audience of the federated credential has to be the target's" },
  {
    code: 'AADSTS700213',
    fix: 'the subject of the federated credential has to be the SPIFFE ID, letter by letter; a new one takes some minutes to be known everywhere',
  },
  { code: 'AADSTS700222', fix: 'Entra takes no tokens of Entra as an assertion' },
  {
    code: 'AADSTS700024',
    kind: 'expired_token',
    fix: 'the clock of this host may be wrong',
  },
  {
    code: 'AADSTS50013',
    fix: 'Entra reads our discovery document and keys over the internet, takes RS256 only, and may hold keys for an hour',
  },
  {
    code: 'AADSTS7000272',
    fix: 'the key that signed is not among our published keys as Entra has them, which it may hold for an hour',
  },
  { code: 'AADSTS5002738', fix: 'Entra takes RS256 only' },
  unread('AADSTS50166'),
  unread('AADSTS501661'),
  unread('AADSTS90061'),
  { code: 'AADSTS700016', fix: 'the tenant has no application with this client_id' },
  { code: 'AADSTS90002', fix: 'there is no such tenant' },
  { code: 'AADSTS7002381', fix: 'a policy of the tenant asks for a claim that our tokens do not have' },
  { code: 'AADSTS500011', fix: 'the tenant does not know the resource of scopes' },
  { code: 'AADSTS70011', fix: 'scopes has to be one resource followed by /.default' },
  { code: 'AADSTS53003', fix: 'a conditional access policy of the tenant forbids it' },
  throttled('AADSTS50196'),
  throttled('AADSTS90055'),
  transient('AADSTS90006'),
  transient('AADSTS90012'),
  transient('AADSTS90024'),
  transient('AADSTS90033'),
  transient('temporarily_unavailable'),
  transient('server_error'),
]
