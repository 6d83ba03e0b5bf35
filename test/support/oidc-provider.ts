/**
 * A real OpenID Connect provider, npm `oidc-provider`, over TLS on a loopback port.
 *
 * @module
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { request } from 'node:https'
import { type CustomizeJwt, Provider } from 'oidc-provider'
import { type HttpsServer, startHttpsServer } from './https-server.ts'
import type { ServerCertificate } from './tls.ts'

export type PrivateJwk = Readonly<Record<string, unknown>> & { readonly kid: string; readonly alg: string }

export interface TestProvider {
  readonly issuer: string
  readonly port: number
  /** An access token for `audience`, as the provider's own token endpoint gives it. */
  readonly token: (audience: string, options?: { readonly alg?: string; readonly subject?: string }) => Promise<string>
  readonly close: () => Promise<void>
}

export interface TestProviderOptions {
  readonly tls: ServerCertificate
  /** PEM, to talk to its own token endpoint. */
  readonly ca: string
  /** One per algorithm. */
  readonly keys: readonly PrivateJwk[]
  /** 0 by default: any that is free. */
  readonly port?: number
}

export function makeSigningJwk(alg: 'RS256' | 'ES256', kid: string): PrivateJwk {
  const { privateKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
}

const client = { id: 'ci', secret: 'not-a-real-secret-of-anybody' }

/** It is at `https://localhost:<port>` and answers until it is closed. */
export async function startOidcProvider(options: TestProviderOptions): Promise<TestProvider> {
  let respond: RequestListener = (_, response) => response.writeHead(503).end()
  const server = await startHttpsServer(options.tls, (request, response) => respond(request, response), options.port)
  const wanted = { alg: 'RS256', subject: client.id }
  respond = buildProvider(server.origin, options, wanted).callback()

  return {
    issuer: server.origin,
    port: server.port,
    close: server.close,
    async token(audience, { alg = 'RS256', subject = client.id } = {}) {
      Object.assign(wanted, { alg, subject })
      return requestToken(server, options.ca, audience)
    },
  }
}

function buildProvider(
  issuer: string,
  options: TestProviderOptions,
  wanted: { alg: string; subject: string },
): Provider {
  const jwt: CustomizeJwt = (_context, _token, parts) => {
    parts.payload.sub = wanted.subject
    return parts
  }
  return new Provider(issuer, {
    // Nothing is stored: tokens that are JWTs are not, and nobody signs in.
    adapter: () => ({ upsert: async () => {}, find: async () => undefined, destroy: async () => {} }),
    ttl: { ClientCredentials: 600 },
    jwks: { keys: options.keys },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    formats: { customizers: { jwt } },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          audience: resource,
          scope: '',
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: wanted.alg } },
        }),
      },
    },
  })
}

async function requestToken(server: HttpsServer, ca: string, audience: string): Promise<string> {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: client.id,
    client_secret: client.secret,
    resource: audience,
  }).toString()
  const answered = Promise.withResolvers<string>()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  request(`${server.origin}/token`, { ca, method: 'POST', headers, agent: false }, async (answer) => {
    const chunks = await answer.toArray()
    answered.resolve(Buffer.concat(chunks).toString('utf8'))
  })
    .on('error', answered.reject)
    .end(form)
  const { access_token: token, ...rest } = JSON.parse(await answered.promise)
  if (typeof token !== 'string') throw new Error(`no token: ${JSON.stringify(rest)}`)
  return token
}
