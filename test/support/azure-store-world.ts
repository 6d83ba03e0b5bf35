/**
 * Key Vault behind Entra.
 *
 * @module
 */
import { startEntra } from './clouds/entra.ts'
import { startKeyVault } from './clouds/key-vault.ts'
import { deleteKeyVaultSecret, findKeyVaultSecret, setKeyVaultSecret } from './clouds/key-vault-state.ts'
import { startIdentityWorld, subject } from './destination-world.ts'
import type { StoreUnderTest } from './store-under-test.ts'

const tenant = '11111111-2222-3333-4444-555555555555'
const clientId = '66666666-7777-8888-9999-000000000000'
const audience = 'api://AzureADTokenExchange'

/** All that a sync needs; no value can be read. */
const actions = ['readMetadata/action', 'setSecret/action', 'update/action', 'delete', 'recover/action'].map(
  (action) => `Microsoft.KeyVault/vaults/secrets/${action}`,
)
const [look = '', write = '', mark = '', remove = '', recover = ''] = actions

export async function startAzureStore() {
  const identity = await startIdentityWorld()
  const entra = await startEntra(identity.cloud)
  const store = await startKeyVault({ ...identity.cloud, tenant, entra })
  const { state } = store
  const issuer = 'https://id.example.org'
  entra.state.tenants.set(tenant, {})
  const credential = { name: 'sync', issuer, subject, audiences: [audience] }
  entra.state.apps.push({ tenant, clientId, federatedCredentials: [credential] })
  const scopes = ['https://vault.azure.net/.default']
  const target = {
    type: 'azure',
    tenant,
    client_id: clientId,
    scopes,
    authority_host: entra.url,
    ca_file: entra.caFile,
  }
  const document = { type: 'azure-key-vault', target: 'there', vault_url: store.url, ca_file: store.caFile }
  const valid = await identity.credentialOf(target, audience)
  const found = (name: string) => findKeyVaultSecret(state, name, identity.now)
  const latest = (name: string) => found(name)?.versions.at(-1)

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
      state.settleSeconds = 0
      state.grants.set(clientId, new Set(actions))
    },
    read: (name) => (found(name)?.deleted === undefined ? latest(name)?.value : undefined),
    versions: (name) => found(name)?.versions.length ?? 0,
    tags: (name) => latest(name)?.tags ?? {},
    setTag(name, tag, value) {
      const version = latest(name)
      if (version) version.tags = { ...version.tags, [tag]: value }
    },
    edit: (name, value) => void setKeyVaultSecret(state, name, identity.now, { value }),
    discard(name) {
      const secret = found(name)
      if (secret) deleteKeyVaultSecret(state, secret, identity.now)
    },
    isWrite: ({ method }) => method !== 'GET',
    permissions: { list: look, look, create: write, write, mark, remove, recover },
    deny: (permission) => void state.grants.set(clientId, new Set(actions.filter((action) => action !== permission))),
    async close() {
      await identity.close()
      await Promise.all([entra.close(), store.close()])
    },
  } satisfies StoreUnderTest
}
