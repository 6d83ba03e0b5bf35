import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { run } from './support/command.ts'
import {
  createNamespace,
  createNode,
  createPod,
  createServiceAccount,
  openDiscovery,
  requestToken,
  startCluster,
  writeToken,
} from './support/kubernetes.ts'
import { buildDeadlineMs, part } from './support/parts.ts'

const examples = join(import.meta.dirname, '../../examples')

/** The workloads of the examples. */
const accounts = {
  payments: [
    ...['payments-api', 'mtls-backend', 'reporting'],
    ...['payments-report', 'payments-sync', 'payments-reports', 'batch'],
  ],
  web: ['storefront'],
  'wealth-prod': ['relationship-assistant'],
  'retail-prod': ['branch-assistant'],
  'wealth-test': ['assistant-in-test'],
}

const stack = cleanupAfterAll()
let env: Readonly<Record<string, string>>
let goBackend: string
let pythonApi: string
let spire: string

beforeAll(async () => {
  const goProgram = await part('go-program.sh', 'examples/01-mtls-microservices/go')
  goBackend = join(goProgram, 'mtls-backend')
  const python = await part('python-environment.sh', 'test/interop/python/requirements.txt')
  pythonApi = `${join(python, 'bin/python')} ${join(examples, '02-api-with-jwt-svid/api.py')}`

  spire = await part('spire.sh')

  const cluster = await startCluster(stack, { signingKey: 'P-256' })
  const tokens = await makeFolder(stack)
  await openDiscovery(cluster)
  await createNode(cluster, 'node-1')
  for (const [namespace, names] of Object.entries(accounts)) {
    await createNamespace(cluster, namespace)
    for (const name of names) {
      await createServiceAccount(cluster, namespace, name)
      const uid = await createPod(cluster, { namespace, name, serviceAccount: name, node: 'node-1' })
      const wishes = { namespace, serviceAccount: name, audience: 'apostille', pod: { name, uid } }
      await writeToken(tokens, `${name}.token`, await requestToken(cluster, wishes))
    }
  }
  env = {
    EXAMPLE_CLUSTER_ISSUER: cluster.origin,
    EXAMPLE_CLUSTER_CA_FILE: cluster.caFile,
    EXAMPLE_TOKEN_DIR: tokens,
  }
}, buildDeadlineMs)

test.each<[string, string, () => Readonly<Record<string, string>>]>([
  ['01 with TypeScript on both sides', '01-mtls-microservices', () => ({})],
  ['01 with a backend in Go', '01-mtls-microservices', () => ({ EXAMPLE_BACKEND: goBackend })],
  ['02 with an API in TypeScript', '02-api-with-jwt-svid', () => ({})],
  ['02 with an API in Python', '02-api-with-jwt-svid', () => ({ EXAMPLE_API: pythonApi })],
  ['03 with a real SPIRE', '03-spire-federation', () => ({ EXAMPLE_SPIRE_DIR: spire })],
  ['04 with AWS', '04-kubernetes-to-aws', () => ({})],
  ['04 with Azure', '04-kubernetes-to-azure', () => ({})],
  ['04 with Google', '04-kubernetes-to-google', () => ({})],
])('example %s plays with the tokens of a real API server', { timeout: 120_000 }, async (_, name, more) => {
  const { code, stdout, stderr } = await run(process.execPath, [join(examples, name, 'run.ts')], {
    env: { ...env, ...more() },
    deadlineMs: 110_000,
  })

  expect(code, `${stdout.slice(-3000)}\n${stderr.slice(-3000)}`).toBe(0)
  expect(stdout).toContain(env['EXAMPLE_CLUSTER_ISSUER'])
})
