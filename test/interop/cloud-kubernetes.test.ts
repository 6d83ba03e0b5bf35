import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { cleanupAfterAll } from './support/cleanup.ts'
import { type CloudWorld, openCloudWorld } from './support/clouds.ts'
import { runOk } from './support/command.ts'
import {
  type Cluster,
  createNamespace,
  createNode,
  createPod,
  createServiceAccount,
  openDiscovery,
  requestToken,
  startCluster,
} from './support/kubernetes.ts'
import { buildDeadlineMs } from './support/parts.ts'

const namespace = 'payments'
const serviceAccount = 'payments-api'

const stack = cleanupAfterAll()
let cluster: Cluster
let world: CloudWorld

beforeAll(async () => {
  cluster = await startCluster(stack)
  await createNamespace(cluster, namespace)
  await createNode(cluster, 'node-1')
  await createServiceAccount(cluster, namespace, serviceAccount)
  await openDiscovery(cluster)
  world = await openCloudWorld(stack, { cluster: { issuer: cluster.origin, caFile: cluster.caFile } })
}, buildDeadlineMs)

test('the projected token of a pod is all that an AWS SDK needs: nothing of ours runs beside it', async () => {
  const name = 'payments-api-6c9f7d'
  const uid = await createPod(cluster, { namespace, name, serviceAccount, node: 'node-1' })
  const wishes = { namespace, serviceAccount, audience: 'apostille', pod: { name, uid } }
  const token = await requestToken(cluster, wishes)
  // As a projected volume has it: the token and no line end.
  const tokenFile = join(world.folder, 'token')
  await writeFile(tokenFile, token, { mode: 0o600 })

  const program = join(import.meta.dirname, 'node/clouds.ts')
  const said = await runOk(process.execPath, [program, 'aws'], {
    input: 'go\n',
    env: {
      HOME: world.folder,
      AWS_REGION: 'eu-west-1',
      AWS_ENDPOINT_URL_STS: world.sts.url,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${world.gateway.origin}/v1/credentials/payments-s3`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
      NODE_EXTRA_CA_CERTS: world.caFile,
    },
  })

  expect(JSON.parse(said)).toEqual({
    arn: expect.stringMatching(/:assumed-role\/payments\/ns\.payments\.sa\.payments-api-[0-9a-f]{8}$/),
  })
  const [session] = [...world.sts.state.accessKeys.values()]
  expect(session?.session?.subject).toBe('spiffe://example.org/ns/payments/sa/payments-api')
  expect((await world.gateway.records()).at(-1)).toMatchObject({
    operation: 'exchange',
    decision: 'granted',
    authenticator: 'cluster',
    attributes: { namespace, service_account: serviceAccount, pod: name, pod_uid: uid, node: 'node-1' },
  })
})
