/**
 * Secret Manager behind Google's STS.
 *
 * @module
 */
import { startGoogleSecretManager } from './clouds/google-secret-manager.ts'
import { addGoogleVersion, createGoogleSecret } from './clouds/google-secrets-state.ts'
import { startGoogleSts } from './clouds/google-sts.ts'
import { startIdentityWorld } from './destination-world.ts'
import type { StoreUnderTest } from './store-under-test.ts'

const project = 'payments-prod'
const projectNumber = '123456789'
const pool = `projects/${projectNumber}/locations/global/workloadIdentityPools/apostille`
const provider = `${pool}/providers/apostille`

/** All that a sync needs; no value can be read. */
const permissions = [
  'secretmanager.secrets.list',
  'secretmanager.secrets.get',
  'secretmanager.secrets.create',
  'secretmanager.secrets.update',
  'secretmanager.secrets.delete',
  'secretmanager.versions.list',
  'secretmanager.versions.add',
  'secretmanager.versions.destroy',
]

export async function startGcpStore() {
  const identity = await startIdentityWorld()
  const sts = await startGoogleSts(identity.cloud)
  const store = await startGoogleSecretManager({ ...identity.cloud, project, projectNumber, sts })
  const { state } = store
  sts.state.pools.set(pool, {})
  sts.createProvider(provider, {
    attributeMapping: { 'google.subject': "assertion.sub.extract('spiffe://example.org/{id}')" },
    oidc: { issuerUri: 'https://id.example.org' },
  })
  const target = { type: 'gcp', provider, token_url: sts.tokenUrl, ca_file: sts.caFile }
  const document = { type: 'gcp-secret-manager', target: 'there', project, endpoint: store.url, ca_file: store.caFile }
  const valid = await identity.credentialOf(target, `https://iam.googleapis.com/${provider}`)
  const found = (name: string) => state.secrets.get(`projects/${projectNumber}/secrets/${name}`)
  const permit = (allowed: readonly string[]) => {
    state.bindings = [{ permissions: allowed, members: [`principal://iam.googleapis.com/${pool}/subject/sync/one`] }]
  }

  return {
    identity,
    store,
    state,
    valid,
    open: (more = {}, given = async () => valid) => identity.open({ ...document, ...more }, given),
    reset() {
      identity.reset()
      store.calm()
      state.secrets.clear()
      state.writtenAt.length = 0
      state.writesPerMinute = 600
      permit(permissions)
    },
    read(name) {
      const version = found(name)?.versions.at(-1)
      const text = version?.state === 'ENABLED' ? version.data : undefined
      const isText = text !== undefined && Buffer.from(text.toString('utf8')).equals(text)
      return isText ? text.toString('utf8') : text
    },
    versions: (name) => found(name)?.versions.length ?? 0,
    tags: (name) => ({ ...found(name)?.labels, ...found(name)?.annotations }),
    setTag(name, tag, value) {
      const secret = found(name)
      if (!secret) return
      secret.annotations = { ...secret.annotations, [tag]: value }
      secret.etag = `"${crypto.randomUUID()}"`
    },
    edit(name, value) {
      const resource = `projects/${projectNumber}/secrets/${name}`
      const secret =
        found(name) ?? createGoogleSecret(state, resource, identity.now, { replication: { automatic: {} } })
      addGoogleVersion(secret, Buffer.from(value), identity.now)
    },
    discard: (name) => void state.secrets.delete(`projects/${projectNumber}/secrets/${name}`),
    isWrite: ({ method }) => method !== 'GET',
    permissions: {
      list: 'secretmanager.secrets.list',
      look: 'secretmanager.secrets.get',
      create: 'secretmanager.secrets.create',
      write: 'secretmanager.versions.add',
      mark: 'secretmanager.secrets.update',
      remove: 'secretmanager.secrets.delete',
    },
    deny: (permission) => permit(permissions.filter((one) => one !== permission)),
    async close() {
      await identity.close()
      await Promise.all([sts.close(), store.close()])
    },
  } satisfies StoreUnderTest
}
