/**
 * customer-api: customer records, each of one data domain. A caller sees those of the domain that its token names.
 *
 * It knows the URL of an issuer and its own name, and nothing else: no secret, no client registration, no library of
 * Apostille. Discovery says where the issuer's keys are, and any JWT library does the rest.
 *
 * - `ISSUER`, `AUDIENCE`, `ENVIRONMENT`: whose tokens, made for whom, from which environment
 * - `NODE_EXTRA_CA_CERTS`: the authorities of the issuer's TLS certificate, where that is no public one
 * - `TLS_CERT_FILE`, `TLS_KEY_FILE`: our own TLS certificate. `PORT`: any free one by default
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'
import { setting } from '../support/settings.ts'

interface Customer {
  readonly name: string
  readonly domain: string
  readonly advisor: string
}

const customers: ReadonlyMap<string, Customer> = new Map([
  ['1001', { name: 'Ada Lindqvist', domain: 'wealth-customers', advisor: 'M. Okafor' }],
  ['1002', { name: 'Noor Haddad', domain: 'wealth-customers', advisor: 'M. Okafor' }],
  ['2001', { name: 'Jan Kowalski', domain: 'retail-customers', advisor: 'branch 17' }],
])

const issuer = setting('ISSUER')
const audience = setting('AUDIENCE')
const environment = setting('ENVIRONMENT')
const { keys, algorithms } = await discover()
console.log(`discovered the keys of ${issuer} (${algorithms.join(', ')})`)

const [cert, key] = await Promise.all(['TLS_CERT_FILE', 'TLS_KEY_FILE'].map((name) => readFile(setting(name))))
const server = createServer({ cert, key }, (request, response) => void answer(request, response))
server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () =>
  console.log(`listening on https://localhost:${(server.address() as AddressInfo).port}`),
)
process.once('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})

/** OpenID Connect Discovery §4: one document says where the keys are and what they sign with. */
async function discover() {
  const answered = await fetch(`${issuer}/.well-known/openid-configuration`, { redirect: 'error' })
  const document = (await answered.json()) as Readonly<Record<string, unknown>>
  if (document['issuer'] !== issuer) throw new Error('the discovery document is of another issuer') // §4.3
  return {
    keys: createRemoteJWKSet(new URL(String(document['jwks_uri']))),
    algorithms: document['id_token_signing_alg_values_supported'] as readonly string[],
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const claims = await authenticate(request)
    const { status, body } = find(request.url ?? '', claims)
    console.log(`${status}  ${request.url}  for ${claims.sub} (${claims['customer_data_domain']})`)
    respond(response, status, body)
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
    console.log(`401  ${request.url}  ${error.message}`)
    response.setHeader('www-authenticate', 'Bearer error="invalid_token"')
    respond(response, 401, { error: 'invalid token' })
  }
}

/** Signature by a key of the issuer, `iss`, `aud`, `exp`, `nbf`; then that the caller is a workload of our environment. */
async function authenticate({ headers }: IncomingMessage): Promise<JWTPayload> {
  const token = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1]
  if (token === undefined) throw new errors.JWTInvalid('no bearer token')
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience,
    algorithms: [...algorithms],
    requiredClaims: ['sub', 'exp', 'environment', 'customer_data_domain'],
  })
  if (!payload.sub?.startsWith('spiffe://')) throw new errors.JWTInvalid('"sub" is no SPIFFE ID')
  if (payload['environment'] !== environment) throw new errors.JWTInvalid('the token is of another environment')
  return payload
}

/** `/customers` and `/customers/ID`. What may be seen is the data domain's, whoever asks. */
function find(path: string, claims: JWTPayload): { readonly status: number; readonly body: object } {
  const domain = claims['customer_data_domain']
  if (path === '/customers')
    return { status: 200, body: [...customers.values()].filter((customer) => customer.domain === domain) }
  const customer = customers.get(/^\/customers\/(\d+)$/.exec(path)?.[1] ?? '')
  if (customer === undefined) return { status: 404, body: { error: 'no such customer' } }
  if (customer.domain !== domain) return { status: 403, body: { error: 'this customer is of another business line' } }
  return { status: 200, body: customer }
}

function respond(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
