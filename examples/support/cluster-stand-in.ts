/**
 * Stands in for a Kubernetes cluster on a laptop: an issuer of service account tokens, with discovery and keys over TLS.
 *
 * A cluster does two things that matter to Apostille: it hands each pod a signed token that says which namespace and service
 * account the pod runs as, and it publishes the keys that such tokens are verified with. This does the same two things, in
 * the same shape. It is no cluster: here whoever calls {@link ClusterStandIn.mintToken} gets any token, while a real API
 * server gives a pod its own and no other.
 *
 * @see {@link https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/ Service account tokens}
 * @module
 */
import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createLocalAuthority } from './local-authority.ts'

export interface ServiceAccount {
  readonly namespace: string
  readonly name: string
}

export interface ClusterStandIn {
  /** `https://localhost:<port>` */
  readonly issuer: string
  /** PEM. */
  readonly ca: string
  /** A token as the kubelet puts it into a pod of that service account. */
  readonly mintToken: (account: ServiceAccount, audience: string) => string
  readonly close: () => void
}

export async function startClusterStandIn(): Promise<ClusterStandIn> {
  const authority = await createLocalAuthority('stand-in for a cluster CA')
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const kid = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url')
  const keys = { keys: [{ use: 'sig', alg: 'RS256', kid, ...publicKey.export({ format: 'jwk' }) }] }

  const server = createServer(await authority.issue(), (request, response) => {
    const document = { '/.well-known/openid-configuration': discovery(issuer), '/openid/v1/jwks': keys }[
      request.url ?? ''
    ]
    const type = document === keys ? 'application/jwk-set+json' : 'application/json'
    // As strict as the API server, which has its key set in this one type only.
    const status = document === undefined ? 404 : isAccepted(request.headers.accept, type) ? 200 : 406
    response.writeHead(status, { 'content-type': type })
    response.end(JSON.stringify(status === 200 ? document : {}))
  })
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject).listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`

  return {
    issuer,
    ca: authority.ca,
    mintToken: (account, audience) => signJwt(privateKey, kid, claimsOf(issuer, account, audience)),
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function isAccepted(accept: string | undefined, type: string): boolean {
  const types = (accept ?? '*/*').split(',').map((range) => range.split(';', 1)[0]?.trim())
  return types.includes(type) || types.includes('*/*')
}

function discovery(issuer: string) {
  return {
    issuer,
    jwks_uri: `${issuer}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  }
}

function claimsOf(issuer: string, { namespace, name }: ServiceAccount, audience: string) {
  const now = Math.floor(Date.now() / 1000)
  return {
    aud: [audience],
    exp: now + 3600,
    iat: now,
    iss: issuer,
    jti: randomUUID(),
    'kubernetes.io': {
      namespace,
      node: { name: 'laptop', uid: randomUUID() },
      pod: { name: `${name}-6c9f7d`, uid: randomUUID() },
      serviceaccount: { name, uid: randomUUID() },
    },
    nbf: now,
    sub: `system:serviceaccount:${namespace}:${name}`,
  }
}

/** As API servers sign them: RS256, and no `typ`. */
function signJwt(key: KeyObject, kid: string, claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode({ alg: 'RS256', kid })}.${encode(claims)}`
  return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`
}
