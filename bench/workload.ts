/**
 * What is asked of the server: a cluster's key and a token of it, certificate requests, and configurations.
 *
 * @module
 */
import 'reflect-metadata'
import { generateKeyPairSync, type KeyObject, sign, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { TrustDomain } from '../src/protocol/spiffe-id.ts'
import { createForeignDomain, type ForeignDomain } from './foreign-domain.ts'

export interface Workload {
  /** A service account's token, good for an hour. */
  readonly token: string
  /** The same of service accounts by their names, in a namespace of their own. */
  readonly createTokens: (names: readonly string[]) => readonly string[]
  /** The key set of the cluster that signed it, JSON. */
  readonly jwks: string
  /** Base64 of DER, each with a key of its own. */
  readonly csrs: readonly string[]
  /** For servers that federate. */
  readonly foreign: ForeignDomain
}

export const issuer = 'https://id.example.org'
export const audience = 'https://api.example.org'
const cluster = 'https://oidc.cluster-a.example'
const crowd = 'crowd'
const csrCount = 256
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** Members of targets, by their names. */
export type Targets = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export async function createWorkload(now: Date): Promise<Workload> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'cluster-a-1', alg: 'ES256', use: 'sig' }
  const seconds = Math.floor(now.getTime() / 1000)
  return {
    token: signToken(privateKey, seconds, { namespace: 'payments', name: 'api' }),
    createTokens: (names) => names.map((name) => signToken(privateKey, seconds, { namespace: crowd, name })),
    jwks: JSON.stringify({ keys: [jwk] }),
    csrs: await Promise.all(Array.from({ length: csrCount }, createCsr)),
    foreign: await createForeignDomain(0, now),
  }
}

interface ServiceAccount {
  readonly namespace: string
  readonly name: string
}

function signToken(key: KeyObject, now: number, { namespace, name }: ServiceAccount): string {
  const claims = {
    iss: cluster,
    aud: [issuer],
    sub: `system:serviceaccount:${namespace}:${name}`,
    iat: now,
    nbf: now,
    exp: now + 3600,
    'kubernetes.io': {
      namespace,
      serviceaccount: { name, uid: '1c9b5dc6-4f1f-4f5b-8f0e-0a4f4b4f0d11' },
      pod: { name: 'api-6d4cf56db6-x2v5q', uid: 'b7b2c0ce-3d1c-4f6c-9a59-6f7a3f6f0c22' },
      node: { name: 'node-17', uid: 'f0d7a5be-1d33-4e69-8a36-3c1d2b9c0e33' },
    },
  }
  const input = `${encode({ alg: 'ES256', kid: 'cluster-a-1', typ: 'JWT' })}.${encode(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

async function createCsr(): Promise<string> {
  x509.cryptoProvider.set(webcrypto)
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=api',
    keys,
    signingAlgorithm: algorithm,
  })
  return csr.toString('base64')
}

/**
 * @param options.rules How many rules of the kind `proof.namespace == X && proof.service_account == Y` there are; the
 *   token's is the last.
 * @param options.tls Whether the server shows an SVID of its own.
 * @param options.domains Trust domains that it federates with, each with an authenticator and a rule. Their first bundles
 *   are in `trust-bundles`, and `bundlePort` of this machine answers with those that follow.
 * @param options.store Default: a file of SQLite.
 * @param options.targets What every service account can be exchanged for, by name, as the configuration has it.
 */
export function createConfiguration(options: {
  readonly rules: number
  readonly tls: boolean
  readonly port: number
  readonly domains?: readonly TrustDomain[]
  readonly bundlePort?: number
  readonly targets?: Targets
  readonly store?: string
  /** Port of the console; it is off by default. */
  readonly console?: number
}): string {
  const { domains = [], bundlePort, targets = {}, store = 'sqlite:./apostille.db', console } = options
  const others = Array.from({ length: options.rules - 1 }, (_, index) => ruleFor(`team-${index}`, `service-${index}`))
  return `trust_domain: example.org
issuer: ${issuer}
listen: { address: 127.0.0.1:${options.port}, tls: ${options.tls ? 'self' : 'off'} }
admin: { listen: unix:./admin.sock${console === undefined ? '' : `, console: 127.0.0.1:${console}`} }
store: ${store}
seal: { file: ./seal.key }
authenticators:
  cluster-a: { type: kubernetes, issuer: ${cluster}, audience: ${issuer}, jwks_file: jwks.json }
${domains.map((name) => `  ${name}: { type: spiffe, trust_domain: ${name} }\n`).join('')}identities:
${[...others, ruleFor('payments', 'api'), ...domains.map(ruleForDomain)].join('')}${targetsWith(targets)}${federationWith(domains, bundlePort)}`
}

function ruleFor(namespace: string, serviceAccount: string): string {
  return `  - spiffe_id: /ns/\${proof.namespace}/sa/\${proof.service_account}
    from: cluster-a
    when: proof.namespace == '${namespace}' && proof.service_account == '${serviceAccount}'
    audiences: ['${audience}']
`
}

function ruleForDomain(name: TrustDomain): string {
  return `  - spiffe_id: /${name}\${proof.path}
    from: ${name}
    when: proof.path.startsWith('/ns/')
    audiences: ['${audience}']
`
}

function federationWith(domains: readonly TrustDomain[], bundlePort: number | undefined): string {
  if (domains.length === 0) return ''
  const endpointOf = (name: TrustDomain) =>
    `, endpoint: 'https://127.0.0.1:${bundlePort}/${name}', profile: https_web, ca_file: bundle-ca.pem`
  const peers = domains.map((name) => {
    const endpoint = bundlePort === undefined ? '' : endpointOf(name)
    return `  ${name}: { bundle: trust-bundles/${name}.json${endpoint} }\n`
  })
  return `federation:\n${peers.join('')}`
}

/** Begins with a rule for the crowd. JSON is YAML. */
function targetsWith(targets: Targets): string {
  const names = Object.keys(targets)
  if (names.length === 0) return ''
  return `  - spiffe_id: /ns/\${proof.namespace}/sa/\${proof.service_account}
    from: cluster-a
    when: proof.namespace == '${crowd}'
targets: ${JSON.stringify(targets)}
policies:
  - { permit: exchange, to: ${JSON.stringify(names)}, when: "identity.path.startsWith('/ns/')" }
`
}
