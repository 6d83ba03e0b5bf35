import { beforeAll, expect, test } from 'vitest'
import type { RecordDocument } from '../../src/core/record.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { poll } from './support/command.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import {
  bindClusterRole,
  type Cluster,
  createNamespace,
  createNode,
  createPod,
  createServiceAccount,
  openDiscovery,
  remove,
  requestToken,
  startCluster,
  writeToken,
} from './support/kubernetes.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { makeRequest, tamper } from './support/svids.ts'

const namespace = 'shop'
const api = 'https://api.example.org'

/**
 * A deleted pod is noticed when two memories are over: ours of a review and, with nothing to look forward to, the API server's of a
 * good token; 10 seconds each. The API server says in no other way that it has noticed, so the tests ask again and again.
 */
const noticeMs = 22_000

const stack = cleanupAfterAll()
let cluster: Cluster
let gateway: TestGateway
let authenticators: Readonly<Record<string, Record<string, unknown>>>

const audienceOf = (name: string) => `https://${name}.id.example.org`

beforeAll(async () => {
  cluster = await startCluster(stack)
  await createNamespace(cluster, namespace)
  await createNode(cluster, 'node-1')
  for (const account of ['web', 'reader', 'reviewer', 'stranger'])
    await createServiceAccount(cluster, namespace, account)
  await bindClusterRole(cluster, 'system:auth-delegator', namespace, 'reviewer')
  const { origin, caFile: ca_file } = cluster
  const folder = `${ca_file}-tokens`
  const tokenFile = async (serviceAccount: string) =>
    writeToken(folder, serviceAccount, await requestToken(cluster, { namespace, serviceAccount }))

  const reader = { issuer: origin, ca_file, token_file: await tokenFile('reader') }
  const review = async (account: string) => ({ server: origin, ca_file, token_file: await tokenFile(account) })
  authenticators = {
    discovery: reader,
    'jwks-uri': { ...reader, jwks_uri: `${origin}/openid/v1/jwks` },
    reviewed: { ...reader, token_review: await review('reviewer') },
    'may-not-review': { ...reader, token_review: await review('stranger') },
    anonymous: { issuer: origin, ca_file },
  }
  gateway = await startGateway(stack, gatewayDocument(Object.keys(authenticators)))
}, buildDeadlineMs)

/** One authenticator for each name, all of the one cluster and each with its own audience. */
function gatewayDocument(names: readonly string[]) {
  return {
    authenticators: Object.fromEntries(
      names.map((name) => [name, { type: 'kubernetes', audience: audienceOf(name), ...authenticators[name] }]),
    ),
    identities: names.map((name) => ({
      name,
      from: name,
      spiffe_id: '/ns/${proof.namespace}/sa/${proof.service_account}',
      audiences: [api],
      claims: { pod: '${proof.pod}', node: '${proof.node}' },
    })),
  }
}

function askJwtSvid(bearer: string, from: TestGateway = gateway) {
  return from.ask('/v1/svid/jwt', { bearer, json: { audience: [api] } })
}

async function lastRecord(from: TestGateway = gateway): Promise<RecordDocument> {
  const record = (await from.records()).at(-1)
  if (record === undefined) throw new Error('there is no record')
  return record
}

async function podToken(authenticator: string, name: string) {
  const uid = await createPod(cluster, { namespace, name, serviceAccount: 'web', node: 'node-1' })
  const audience = audienceOf(authenticator)
  const token = await requestToken(cluster, { namespace, serviceAccount: 'web', audience, pod: { name, uid } })
  return { token, uid }
}

function claimsOf(token: string) {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

test.each(['discovery', 'jwks-uri', 'reviewed'])('a pod-bound token gives SVIDs and is on record: %s', async (name) => {
  const { token, uid } = await podToken(name, `bound-${name}`)
  const kubernetes = claimsOf(token)['kubernetes.io']
  const { csr } = await makeRequest()

  const x509 = await gateway.ask('/v1/svid/x509', { bearer: token, json: { csr } })
  const jwt = await askJwtSvid(token)

  expect(x509).toMatchObject({ status: 200, json: { spiffe_id: 'spiffe://example.org/ns/shop/sa/web' } })
  expect(jwt).toMatchObject({ status: 200, json: { spiffe_id: 'spiffe://example.org/ns/shop/sa/web' } })
  expect(claimsOf(jwt.json.token)).toMatchObject({ pod: `bound-${name}`, node: 'node-1', aud: api })
  expect((await gateway.records()).slice(-2)).toMatchObject([
    { operation: 'x509_svid', decision: 'granted' },
    {
      operation: 'jwt_svid',
      decision: 'granted',
      authenticator: name,
      rule: name,
      spiffe_id: 'spiffe://example.org/ns/shop/sa/web',
      attributes: {
        namespace,
        service_account: 'web',
        service_account_uid: kubernetes.serviceaccount.uid,
        pod: `bound-${name}`,
        pod_uid: uid,
        node: 'node-1',
        node_uid: kubernetes.node.uid,
      },
    },
  ])
})

test.each(['discovery', 'reviewed'])('an unbound token has neither pod nor node: %s', async (name) => {
  const token = await requestToken(cluster, { namespace, serviceAccount: 'web', audience: audienceOf(name) })

  const { status, json } = await askJwtSvid(token)

  expect(status).toBe(200)
  expect(claimsOf(json.token)).not.toHaveProperty('pod')
  const { attributes } = await lastRecord()
  expect(Object.keys(attributes ?? {})).toEqual(['namespace', 'service_account', 'service_account_uid'])
})

test('a token goes through token exchange as well', async () => {
  const { token } = await podToken('reviewed', 'exchange')

  const { status, json } = await gateway.ask('/token', {
    form: {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      audience: api,
    },
  })

  expect(status).toBe(200)
  expect(claimsOf(json.access_token).sub).toBe('spiffe://example.org/ns/shop/sa/web')
})

test.each(['discovery', 'reviewed'])('an altered signature is refused: %s', async (name) => {
  const { token } = await podToken(name, `altered-${name}`)
  expect((await askJwtSvid(token)).status).toBe(200)

  expect(await askJwtSvid(tamper(token))).toMatchObject({ status: 401, json: { code: 'proof_rejected' } })
  expect(await lastRecord()).toMatchObject({ decision: 'refused', code: 'proof_rejected' })
})

test.each([
  ['of another service', 'https://other.example.org'],
  ['of the API server itself', undefined],
])('a token for the audience %s is refused', async (_, audience) => {
  const token = await requestToken(cluster, {
    namespace,
    serviceAccount: 'web',
    ...(audience !== undefined && { audience }),
  })

  expect(await askJwtSvid(token)).toMatchObject({ status: 401, json: { code: 'proof_rejected' } })
})

test('a token for one authenticator is none for another of the same cluster', async () => {
  const { token } = await podToken('reviewed', 'narrowed')
  const narrowed = { bearer: token, json: { audience: [api] }, headers: { 'apostille-authenticator': 'discovery' } }

  expect(await gateway.ask('/v1/svid/jwt', narrowed)).toMatchObject({ status: 401, json: { code: 'proof_rejected' } })
})

test('a cluster that does not answer strangers is asked with token_file, or opened to them', async () => {
  const token = await requestToken(cluster, { namespace, serviceAccount: 'web', audience: audienceOf('anonymous') })

  expect(await askJwtSvid(token)).toMatchObject({ status: 502, json: { code: 'upstream_failed' } })
  expect((await lastRecord()).reason).toContain('403')

  await openDiscovery(cluster)
  const afterwards = await startGateway(stack, gatewayDocument(['anonymous']))
  expect(await askJwtSvid(token, afterwards)).toMatchObject({ status: 200 })
})

test('a reviewer without the right to review grants nothing, and the record says what it lacks', async () => {
  const { token } = await podToken('may-not-review', 'unreviewed')

  expect(await askJwtSvid(token)).toMatchObject({ status: 502, json: { code: 'upstream_failed' } })
  expect((await lastRecord()).reason).toContain('system:auth-delegator')
})

test('the token of a pod that is gone is refused at its first review', async () => {
  const { token } = await podToken('reviewed', 'gone')
  await remove(cluster, `/api/v1/namespaces/${namespace}/pods/gone`)

  const refused = await poll('the deleted pod is noticed', noticeMs, async () => {
    const answer = await askJwtSvid(token)
    return answer.status === 200 ? undefined : answer
  })

  expect(refused).toMatchObject({ status: 401, json: { code: 'proof_rejected' } })
  expect((await lastRecord()).reason).toContain('the API server does not accept the token')
})

test('a token that was good is refused once its pod is deleted', { timeout: 60_000 }, async () => {
  const { token } = await podToken('reviewed', 'deleted')
  expect((await askJwtSvid(token)).status).toBe(200)
  await remove(cluster, `/api/v1/namespaces/${namespace}/pods/deleted`)

  const refused = await poll('the deleted pod is noticed', noticeMs, async () => {
    const answer = await askJwtSvid(token)
    return answer.status === 200 ? undefined : answer
  })

  expect(refused).toMatchObject({ status: 401, json: { code: 'proof_rejected' } })
})

test('a service account made again under its name does not revive the tokens of the former', {
  timeout: 60_000,
}, async () => {
  const audience = audienceOf('reviewed')
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/again`
  const formerUid = await createServiceAccount(cluster, namespace, 'again')
  const former = await requestToken(cluster, { namespace, serviceAccount: 'again', audience })
  expect((await askJwtSvid(former)).status).toBe(200)

  await remove(cluster, path)
  const uid = await createServiceAccount(cluster, namespace, 'again')
  const next = await requestToken(cluster, { namespace, serviceAccount: 'again', audience })
  await poll('the former account is noticed to be gone', noticeMs, async () => {
    const { status } = await askJwtSvid(former)
    return status === 401 || undefined
  })

  expect((await askJwtSvid(next)).status).toBe(200)
  expect((await lastRecord()).attributes).toMatchObject({ service_account: 'again', service_account_uid: uid })
  expect(uid).not.toBe(formerUid)
})

test('no token of the cluster is in the log or the records', async () => {
  const token = await requestToken(cluster, { namespace, serviceAccount: 'web', audience: audienceOf('reviewed') })
  await askJwtSvid(token)
  await askJwtSvid(tamper(token))

  const kept = gateway.log() + JSON.stringify(await gateway.records())
  expect(kept).not.toContain(token)
  expect(kept).not.toContain(token.split('.')[2])
  expect(kept).not.toContain(tamper(token).split('.')[2])
})
