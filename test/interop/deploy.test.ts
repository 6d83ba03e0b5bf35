import { join } from 'node:path'
import { loadAll } from 'js-yaml'
import { beforeAll, expect, test } from 'vitest'
import { parseConfiguration } from '../../src/core/config.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { run, runOk } from './support/command.ts'
import { type Cluster, startCluster } from './support/kubernetes.ts'
import { buildDeadlineMs, part } from './support/parts.ts'

const root = join(import.meta.dirname, '../..')
const chart = join(root, 'deploy/helm/apostille')
const namespace = 'apostille'
const digest = `sha256:${'0'.repeat(64)}`

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  // biome-ignore lint/suspicious/noExplicitAny: of every kind
  readonly spec?: any
  readonly data?: Readonly<Record<string, string>>
}

const stack = cleanupAfterAll()
let cluster: Cluster
let tools: string

beforeAll(async () => {
  tools = await part('kubernetes-tools.sh')
  cluster = await startCluster(stack)
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
  await cluster.api('/api/v1/namespaces', { json: { metadata: { name: namespace, labels } } })
  for (const name of ['apostille', 'id-apostille'])
    await cluster.api(`/api/v1/namespaces/${namespace}/serviceaccounts`, { json: { metadata: { name } } })
}, buildDeadlineMs)

const kustomize = (folder: string) => runOk(join(tools, 'kustomize'), ['build', join(root, 'deploy/kustomize', folder)])
const helmArguments = (values: readonly string[]) => [
  ...['template', 'id', chart, '--namespace', namespace, '--kube-version', '1.35.4'],
  ...values.flatMap((value) => ['--set', value]),
]
const helm = (...values: readonly string[]) => runOk(join(tools, 'helm'), helmArguments(values))

const single = [
  'replicas=1',
  'persistence.enabled=true',
  'secrets.postgres=',
  'config.store=sqlite:/var/lib/apostille/apostille.db',
]

const renderings: readonly (readonly [name: string, render: () => Promise<string>])[] = [
  ['kustomize, replicas', () => kustomize('base')],
  ['kustomize, one process', () => kustomize('single')],
  ['helm, replicas', () => helm(`image.digest=${digest}`)],
  ['helm, one process', () => helm(...single)],
  [
    'helm, behind a proxy and without metrics',
    () =>
      helm(
        'config.listen.tls=off',
        'config.listen.trusted_proxies.from[0]=10.0.0.0/8',
        'secrets.tls=',
        'config.metrics=null',
        'service.type=LoadBalancer',
      ),
  ],
  ['helm, with what is off by default', () => helm('nodeSelector.pool=infra', 'podAnnotations.a=b', 'env[0].name=A')],
]

function manifestsOf(text: string): readonly Manifest[] {
  return (loadAll(text) as (Manifest | null)[]).filter((document) => document !== null)
}

const places: Readonly<Record<string, string>> = {
  ConfigMap: '/api/v1/namespaces/{namespace}/configmaps',
  Service: '/api/v1/namespaces/{namespace}/services',
  ServiceAccount: '/api/v1/namespaces/{namespace}/serviceaccounts',
  PersistentVolumeClaim: '/api/v1/namespaces/{namespace}/persistentvolumeclaims',
  Deployment: '/apis/apps/v1/namespaces/{namespace}/deployments',
  Pod: '/api/v1/namespaces/{namespace}/pods',
  PodDisruptionBudget: '/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets',
  NetworkPolicy: '/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies',
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  Namespace: '/api/v1/namespaces',
}

/** As `kubectl apply --dry-run=server` does: every check of the API server, admission included, and no field unknown to it. */
async function admit(manifest: Manifest) {
  const place = places[manifest.kind]?.replace('{namespace}', namespace)
  if (place === undefined) throw new Error(`no place for ${manifest.kind}`)
  return cluster.api(`${place}?dryRun=All&fieldValidation=Strict`, { json: manifest })
}

function podOf({ spec: { template } }: Manifest): Manifest {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'one', ...template.metadata }, spec: template.spec }
}

test.each(renderings)('a real API server takes every manifest: %s', async (_, render) => {
  const manifests = manifestsOf(await render())

  expect(manifests.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['ConfigMap', 'Deployment', 'NetworkPolicy', 'Service', 'ServiceAccount']),
  )
  for (const manifest of manifests) {
    const { status, text } = await admit(manifest)
    const exists = status === 409 && ['Namespace', 'ServiceAccount'].includes(manifest.kind)
    expect(exists || status === 201, `${manifest.kind} ${manifest.metadata.name}: ${status} ${text}`).toBe(true)
  }
})

test.each(renderings)('its pods hold the restricted standard of pod security: %s', async (_, render) => {
  const deployment = manifestsOf(await render()).find(({ kind }) => kind === 'Deployment') as Manifest
  const pod = podOf(deployment)

  const { status, text } = await admit(pod)

  expect(status, text).toBe(201)
  const [container] = pod.spec.containers
  expect(container.securityContext.readOnlyRootFilesystem).toBe(true)
  expect(pod.spec.automountServiceAccountToken).toBe(false)
})

test('a pod that breaks the standard is refused, so that the test above can fail', async () => {
  const pod = podOf(manifestsOf(await kustomize('base')).find(({ kind }) => kind === 'Deployment') as Manifest)
  pod.spec.containers[0].securityContext.allowPrivilegeEscalation = true

  expect((await admit(pod)).status).toBe(403)
})

test.each(renderings)('its configuration passes the check: %s', async (_, render) => {
  const map = manifestsOf(await render()).find(({ kind }) => kind === 'ConfigMap') as Manifest

  const { warnings } = parseConfiguration(map.data?.['apostille.yaml'] ?? '')

  expect(warnings).toEqual([])
})

test.each(renderings)(
  'its selectors are of its pods, and its ports are those of the gateway: %s',
  async (_, render) => {
    const manifests = manifestsOf(await render())
    const { template } = manifests.find(({ kind }) => kind === 'Deployment')?.spec ?? {}
    const selectors = manifests.flatMap(({ kind, spec }) => {
      if (kind === 'Service') return [spec.selector]
      if (kind === 'NetworkPolicy') return [spec.podSelector.matchLabels]
      return kind === 'Deployment' || kind === 'PodDisruptionBudget' ? [spec.selector.matchLabels] : []
    })

    for (const selector of selectors) expect(template.metadata.labels).toMatchObject(selector)
    const names = template.spec.containers[0].ports.map(({ name }: { readonly name: string }) => name)
    const wanted = manifests.flatMap(({ kind, spec }) => (kind === 'Service' ? [spec.ports[0].targetPort] : []))
    expect(names).toEqual(wanted)
  },
)

test.each(renderings)(
  'documents are served while the database is away, and a roll stops at who can not issue: %s',
  async (_, render) => {
    const { template } = manifestsOf(await render()).find(({ kind }) => kind === 'Deployment')?.spec ?? {}
    const { startupProbe, readinessProbe, livenessProbe } = template.spec.containers[0]

    const paths = [startupProbe, readinessProbe, livenessProbe].map(({ httpGet }) => httpGet.path)
    expect(paths).toEqual(['/readyz', '/readyz/documents', '/livez'])
  },
)

test('replicas have a budget, and one process has none', async () => {
  const budgets = async (text: Promise<string>) =>
    manifestsOf(await text).filter(({ kind }) => kind === 'PodDisruptionBudget').length

  expect(await budgets(kustomize('base'))).toBe(1)
  expect(await budgets(kustomize('single'))).toBe(0)
  expect(await budgets(helm())).toBe(1)
  expect(await budgets(helm(...single))).toBe(0)
})

test.each([
  ['replicas on SQLite', ['config.store=sqlite:/a.db'], 'SQLite, which is for one process'],
  ['replicas on one volume', ['persistence.enabled=true'], 'set replicas to 1'],
  ['an unknown value', ['replica=3'], "additional properties 'replica' not allowed"],
  ['no replica', ['replicas=0'], 'replicas'],
  ['another path that says a pod is ready', ['startupPath=/'], 'startupPath'],
  ['a digest that is none', ['image.digest=latest'], 'digest'],
])('the chart refuses %s', async (_, values, message) => {
  const { code, stderr } = await run(join(tools, 'helm'), helmArguments(values))

  expect(code).toBe(1)
  expect(stderr).toContain(message)
})

test('the chart has nothing that Helm warns of', async () => {
  const { code, stdout } = await run(join(tools, 'helm'), ['lint', '--strict', chart])

  expect(code, stdout).toBe(0)
})
