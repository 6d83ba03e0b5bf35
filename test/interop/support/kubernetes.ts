/**
 * An API server of Kubernetes with its etcd, and the few objects that proofs need. Nothing runs in it: pods, nodes and service
 * accounts are objects.
 *
 * @module
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTestAuthority } from '../../support/tls.ts'
import { makeFolder } from './cleanup.ts'
import { freePorts, poll, start } from './command.ts'
import { ask, type Got, type Wanted } from './https.ts'
import { part } from './parts.ts'

export interface Cluster {
  /** `https://localhost:PORT`: issuer and API server. */
  readonly origin: string
  readonly caFile: string
  /** As a cluster admin. */
  readonly api: (path: string, wanted?: Wanted) => Promise<Got>
  /** As whoever holds the token; as nobody without. */
  readonly apiAs: (bearer: string | undefined, path: string, wanted?: Wanted) => Promise<Got>
}

export interface ClusterWishes {
  /** Of the key that signs service account tokens. */
  readonly signingKey?: 'RSA' | 'P-256'
}

export async function startCluster(stack: AsyncDisposableStack, wishes: ClusterWishes = {}): Promise<Cluster> {
  const [apiserver, etcd] = [await part('kube-apiserver.sh'), await part('etcd.sh')]
  const folder = await makeFolder(stack)
  const [port = 0, etcdPort = 0, peerPort = 0] = await freePorts(3)
  const origin = `https://localhost:${port}`
  const adminToken = randomUUID()
  const { ca, files } = await writeMaterial(folder, adminToken, wishes.signingKey ?? 'RSA')

  start(stack, join(etcd, 'etcd'), etcdFlags(folder, etcdPort, peerPort))
  const server = start(
    stack,
    join(apiserver, 'kube-apiserver'),
    apiserverFlags({ folder, port, etcdPort, origin, files }),
  )
  const apiAs: Cluster['apiAs'] = (bearer, path, wanted) =>
    ask(`${origin}${path}`, { ca, ...(bearer !== undefined && { bearer }), ...wanted })
  await poll('the API server is ready', 60_000, async () => {
    server.alive()
    const { status } = await apiAs(adminToken, '/readyz').catch(() => ({ status: 0 }))
    return status === 200 || undefined
  })
  return { origin, caFile: files.ca, apiAs, api: (path, wanted) => apiAs(adminToken, path, wanted) }
}

async function writeMaterial(folder: string, adminToken: string, signingKey: 'RSA' | 'P-256') {
  const authority = await createTestAuthority('cluster CA')
  const tls = await authority.issue()
  const { privateKey, publicKey } =
    signingKey === 'RSA'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const contents = {
    ca: authority.ca,
    certificate: tls.cert,
    key: tls.key,
    signingKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    verificationKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    tokens: `${adminToken},admin,admin,system:masters\n`,
  }
  const names = Object.keys(contents) as (keyof typeof contents)[]
  await Promise.all(names.map((name) => writeFile(join(folder, name), contents[name], { mode: 0o600 })))
  const files = Object.fromEntries(names.map((name) => [name, join(folder, name)])) as Record<
    keyof typeof contents,
    string
  >
  return { ca: authority.ca, files }
}

function etcdFlags(folder: string, port: number, peerPort: number): readonly string[] {
  return flags({
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': `http://127.0.0.1:${port}`,
    'advertise-client-urls': `http://127.0.0.1:${port}`,
    'listen-peer-urls': `http://127.0.0.1:${peerPort}`,
    'initial-advertise-peer-urls': `http://127.0.0.1:${peerPort}`,
    'initial-cluster': `default=http://127.0.0.1:${peerPort}`,
    'unsafe-no-fsync': 'true',
    'log-level': 'error',
  })
}

function apiserverFlags(input: {
  readonly folder: string
  readonly port: number
  readonly etcdPort: number
  readonly origin: string
  readonly files: Readonly<Record<'certificate' | 'key' | 'signingKey' | 'verificationKey' | 'tokens', string>>
}): readonly string[] {
  const { origin, files } = input
  return flags({
    'etcd-servers': `http://127.0.0.1:${input.etcdPort}`,
    'bind-address': '127.0.0.1',
    'secure-port': `${input.port}`,
    'external-hostname': 'localhost',
    'endpoint-reconciler-type': 'none',
    'service-cluster-ip-range': '10.0.0.0/24',
    'cert-dir': input.folder,
    'tls-cert-file': files.certificate,
    'tls-private-key-file': files.key,
    'service-account-issuer': origin,
    'service-account-jwks-uri': `${origin}/openid/v1/jwks`,
    'service-account-signing-key-file': files.signingKey,
    'service-account-key-file': files.verificationKey,
    'authorization-mode': 'RBAC',
    'token-auth-file': files.tokens,
  })
}

function flags(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`)
}

/** What is made of an object: its uid. @throws {Error} unless it was created */
async function create(cluster: Cluster, path: string, json: unknown): Promise<string> {
  const { status, json: made, text } = await cluster.api(path, { json })
  if (status !== 201) throw new Error(`${path}: ${status} ${text}`)
  return made.metadata.uid
}

export async function remove(cluster: Cluster, path: string): Promise<void> {
  const json = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 }
  const { status, text } = await cluster.api(path, { method: 'DELETE', json })
  if (status !== 200) throw new Error(`${path}: ${status} ${text}`)
}

export function createNamespace(cluster: Cluster, name: string): Promise<string> {
  return create(cluster, '/api/v1/namespaces', { metadata: { name } })
}

export function createNode(cluster: Cluster, name: string): Promise<string> {
  return create(cluster, '/api/v1/nodes', { metadata: { name } })
}

export function createServiceAccount(cluster: Cluster, namespace: string, name: string): Promise<string> {
  return create(cluster, `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } })
}

export interface PodPlace {
  readonly namespace: string
  readonly name: string
  readonly serviceAccount: string
  readonly node: string
}

export function createPod(cluster: Cluster, { namespace, name, serviceAccount, node }: PodPlace): Promise<string> {
  return create(cluster, `/api/v1/namespaces/${namespace}/pods`, {
    metadata: { name },
    spec: {
      serviceAccountName: serviceAccount,
      nodeName: node,
      automountServiceAccountToken: false,
      containers: [{ name: 'main', image: 'none' }],
    },
  })
}

/** A cluster role for one service account, everywhere. */
export async function bindClusterRole(
  cluster: Cluster,
  role: string,
  namespace: string,
  account: string,
): Promise<void> {
  await create(cluster, '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: `${role}-${namespace}-${account}`.replaceAll(':', '-') },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', namespace, name: account }],
  })
}

/** Lets everybody read who the issuer is and what its keys are; resolves once the cluster does. */
export async function openDiscovery(cluster: Cluster): Promise<void> {
  await create(cluster, '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'discovery-for-strangers' },
    roleRef: {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: 'system:service-account-issuer-discovery',
    },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:unauthenticated' }],
  })
  await poll('discovery answers strangers', 10_000, async () => {
    const { status } = await cluster.apiAs(undefined, '/.well-known/openid-configuration')
    return status === 200 || undefined
  })
}

export interface TokenWishes {
  readonly namespace: string
  readonly serviceAccount: string
  /** The API server's own by default. */
  readonly audience?: string
  readonly pod?: { readonly name: string; readonly uid: string }
}

/** A token of 600 seconds, as a kubelet asks for it on behalf of a pod. */
export async function requestToken(cluster: Cluster, wishes: TokenWishes): Promise<string> {
  const { namespace, serviceAccount, audience, pod } = wishes
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`
  const { status, json, text } = await cluster.api(path, {
    json: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: audience === undefined ? [] : [audience],
        expirationSeconds: 600,
        ...(pod && { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pod } }),
      },
    },
  })
  if (status !== 201) throw new Error(`${path}: ${status} ${text}`)
  return json.status.token
}

/** As a projected volume: a file with a token in it. */
export async function writeToken(folder: string, name: string, token: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, name)
  await writeFile(file, token, { mode: 0o600 })
  return file
}
