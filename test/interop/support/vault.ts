/**
 * A HashiCorp Vault in memory, unsealed, over TLS, with a KV v2 engine at `secret`.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTestAuthority } from '../../support/tls.ts'
import { makeFolder } from './cleanup.ts'
import { freePorts, poll, start } from './command.ts'
import { ask, type Got, type Wanted } from './https.ts'
import { part } from './parts.ts'

export interface Vault {
  /** `https://localhost:PORT` */
  readonly origin: string
  readonly caFile: string
  /** With the root token: `path` without `/v1/`. */
  readonly api: (path: string, wanted?: Wanted) => Promise<Got>
  /** As {@link api}. @throws {Error} unless it is a success */
  readonly must: (path: string, wanted?: Wanted) => Promise<Got>
  /** Mounts a KV v2 engine. */
  readonly mountKv: (mount: string) => Promise<void>
  readonly seal: () => Promise<void>
  readonly unseal: () => Promise<void>
}

export async function startVault(stack: AsyncDisposableStack): Promise<Vault> {
  const program = join(await part('vault.sh'), 'vault')
  const folder = await makeFolder(stack)
  // The port after the first is the cluster's, so neither may be taken by somebody else.
  const [port = 0, clusterPort = 0] = await freePorts(2)
  const origin = `https://localhost:${port}`
  const authority = await createTestAuthority('CA of Vault')
  const { cert, key } = await authority.issue()
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  await Promise.all([
    writeFile(files.ca, authority.ca),
    writeFile(files.cert, cert),
    writeFile(files.key, key, { mode: 0o600 }),
  ])
  const config = join(folder, 'vault.json')
  await writeFile(config, JSON.stringify(serverConfig({ port, clusterPort, origin, files })))

  const server = start(stack, program, ['server', '-config', config, '-log-level=error'], {
    cwd: folder,
    env: { HOME: folder },
  })
  let token: string | undefined
  const api: Vault['api'] = (path, wanted) =>
    ask(`${origin}/v1/${path}`, {
      ca: authority.ca,
      ...wanted,
      headers: { ...(token !== undefined && { 'x-vault-token': token }), ...wanted?.headers },
    })
  const must: Vault['must'] = async (path, wanted) => {
    const got = await api(path, wanted)
    if (got.status >= 300) throw new Error(`Vault: ${path}: ${got.status} ${got.text}`)
    return got
  }
  const { keys, root } = await initialize(api, server.alive)
  token = root
  const unseal = async () => {
    await must('sys/unseal', { json: { key: keys[0] } })
    await poll('Vault is active', 20_000, async () => (await api('sys/health')).status === 200 || undefined, 50)
  }
  await unseal()
  const mountKv = async (mount: string) => {
    await must(`sys/mounts/${mount}`, { json: { type: 'kv', options: { version: '2' } } })
    // A new engine says for a moment that it is being upgraded.
    await poll(
      'the engine is ready',
      20_000,
      async () => (await api(`${mount}/config`)).status === 200 || undefined,
      20,
    )
  }
  await mountKv('secret')
  const seal = async () => void (await must('sys/seal', { json: {} }))
  return { origin, caFile: files.ca, api, must, mountKv, seal, unseal }
}

async function initialize(api: Vault['api'], alive: () => void) {
  const { keys, root_token: root } = await poll('Vault answers', 60_000, async () => {
    alive()
    const got = await api('sys/init', { json: { secret_shares: 1, secret_threshold: 1 } }).catch(() => undefined)
    return got?.status === 200 ? (got.json as { keys: string[]; root_token: string }) : undefined
  })
  return { keys, root }
}

function serverConfig(input: {
  readonly port: number
  readonly clusterPort: number
  readonly origin: string
  readonly files: { readonly cert: string; readonly key: string }
}) {
  return {
    storage: { inmem: {} },
    listener: {
      tcp: {
        address: `127.0.0.1:${input.port}`,
        cluster_address: `127.0.0.1:${input.clusterPort}`,
        tls_cert_file: input.files.cert,
        tls_key_file: input.files.key,
      },
    },
    api_addr: input.origin,
    cluster_addr: `https://127.0.0.1:${input.clusterPort}`,
    disable_mlock: true,
    ui: false,
  }
}
