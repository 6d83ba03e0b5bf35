/**
 * The gateway of `dev`: a folder with a configuration of its own, a token that workloads can start with, and the CA that
 * they need to reach it.
 *
 * @module
 */
import { mkdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { isLocal } from '../core/listen-address.ts'
import { createAdminClient } from './admin-client.node.ts'
import { loadConfiguration } from './configuration.node.ts'
import { replaceFile } from './replace-file.node.ts'
import { type RunningServer, type ServerDeps, startServer } from './server.node.ts'
import type { ServerSettings } from './settings.ts'

/** Where everything of `dev` lies. Absolute paths. */
export interface DevFiles {
  readonly folder: string
  readonly config: string
  /** PEM of the authorities that vouch for the server. 0644, written anew when they change. */
  readonly ca: string
  /** A join token with many uses. 0600, another one at each start. */
  readonly token: string
}

export interface DevServer {
  readonly files: DevFiles
  /** The issuer, which is where it listens as well. */
  readonly url: string
  readonly trustDomain: string
  readonly adminSocket: string
  readonly tokenExpiresAt: Date
  readonly close: RunningServer['close']
  readonly reload: RunningServer['reload']
}

export interface DevInput extends Pick<ServerSettings, 'logLevel' | 'logFormat' | 'env'> {
  readonly folder: string
  /** Undefined: that of the configuration that is there, or 8443. 0: a free one. */
  readonly port: number | undefined
}

/** `dev` can not go on with what it found. */
export class DevError extends Error {
  override readonly name = 'DevError'
}

const defaultPort = 8443
const tokenTtlSeconds = 7 * 86_400
const tokenUses = 1_000_000
const caRefreshMs = 2_000
const maxSocketPathBytes = 107 // sun_path of Linux, less its final zero

/** @throws {DevError} and what {@link startServer} throws */
export async function startDevServer(input: DevInput, deps: ServerDeps): Promise<DevServer> {
  const files = devFiles(input.folder)
  await mkdir(files.folder, { recursive: true, mode: 0o700 })
  await writeConfiguration(files, input.port)
  const { issuer, adminSocket, trustDomain } = await checkIsLocal(files)

  const server = await startServer({ ...input, configFile: files.config, purpose: 'dev' }, deps)
  try {
    const stopCa = await keepCaFile(files.ca, server, deps)
    const { token, expiresAt } = await createToken(adminSocket)
    await replaceFile(files.token, `${token}\n`, 0o600)
    return {
      files,
      url: issuer,
      trustDomain,
      adminSocket,
      tokenExpiresAt: expiresAt,
      reload: server.reload,
      async close() {
        stopCa()
        await server.close()
      },
    }
  } catch (error) {
    await server.close()
    throw error
  }
}

function devFiles(folderName: string): DevFiles {
  const folder = resolve(folderName)
  return {
    folder,
    config: join(folder, 'apostille.yaml'),
    ca: join(folder, 'ca.pem'),
    token: join(folder, 'token'),
  }
}

/** A configuration that somebody edited is theirs; one that is as it was made may be made again for another port. */
async function writeConfiguration(files: DevFiles, port: number | undefined): Promise<void> {
  const present = await readFile(files.config, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (present === undefined) {
    await replaceFile(files.config, devDocument(port === 0 ? await freePort() : (port ?? defaultPort)), 0o644)
    return
  }
  const was = Number(/^issuer: https:\/\/localhost:(\d+)$/m.exec(present)?.[1])
  if (port === undefined || port === 0 || port === was) return
  if (present !== devDocument(was))
    throw new DevError(
      `${files.config} was edited, so --port ${port} does not change it: set issuer and listen.address there, or choose another folder with --dir`,
    )
  await replaceFile(files.config, devDocument(port), 0o644)
}

async function checkIsLocal(files: DevFiles) {
  const { listen, metrics, admin, issuer, trustDomain } = await loadConfiguration(files.config)
  if (!isLocal(listen.address) || (metrics && !isLocal(metrics.listen)))
    throw new DevError(
      `dev listens on loopback only, and ${files.config} names another address: change listen.address to 127.0.0.1, or run it with serve and a store of its own`,
    )
  const adminSocket = admin.listen.kind === 'unix' ? admin.listen.path : ''
  const bytes = Buffer.byteLength(adminSocket)
  if (bytes > maxSocketPathBytes)
    throw new DevError(
      `the path of the admin socket has ${bytes} bytes, and a unix socket takes ${maxSocketPathBytes}: choose a shorter folder with --dir`,
    )
  return { issuer, adminSocket, trustDomain }
}

function freePort(): Promise<number> {
  return new Promise((resolvePort, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolvePort(typeof address === 'object' && address !== null ? address.port : defaultPort))
    })
  })
}

async function createToken(adminSocket: string): Promise<{ readonly token: string; readonly expiresAt: Date }> {
  const { status, body } = await createAdminClient(adminSocket).call({
    method: 'POST',
    path: '/v1/join-tokens',
    body: { authenticator: 'dev', name: 'demo', uses: tokenUses, ttl_seconds: tokenTtlSeconds },
  })
  const created = body as { readonly token?: string; readonly expires_at?: string } | undefined
  if (status !== 201 || created?.token === undefined)
    throw new DevError(
      'the configuration has no authenticator dev of type join_token, which the printed commands need: add it, or remove the file to have it made again',
    )
  return { token: created.token, expiresAt: new Date(created.expires_at ?? 0) }
}

/** Authorities rotate; whoever reads the file meets the new ones before they sign. */
async function keepCaFile(path: string, server: RunningServer, { telemetry }: ServerDeps): Promise<() => void> {
  let written = ''
  async function refresh(): Promise<void> {
    const { etag, body } = server.gateway.published().bundlePem
    if (etag === written) return
    await replaceFile(path, body, 0o644)
    written = etag
  }
  await refresh()
  const timer = setInterval(
    () => void refresh().catch(() => telemetry.log('error', 'the CA file could not be written', { path })),
    caRefreshMs,
  )
  return () => clearInterval(timer)
}

/** What `dev` starts with; the same text for the same port. */
export function devDocument(port: number): string {
  return `# A gateway for development, made by \`apostille dev\`. It is yours to edit: dev keeps it as it is.
version: 1
trust_domain: dev.local
issuer: https://localhost:${port}
listen:
  address: 127.0.0.1:${port}
admin:
  listen: unix:./admin.sock
store: sqlite:./apostille.db
seal: { file: ./seal.key }
authorities:
  jwt: { algorithms: [ES256], rs256_audiences: [] }

authenticators:
  dev: { type: join_token }
  ours: { type: spiffe, trust_domain: dev.local }

identities:
  - name: demo
    spiffe_id: /dev/\${proof.name}
    from: dev
    audiences: ['*']
  - name: web
    spiffe_id: /dev/web
    from: dev
    audiences: ['*']
    dns_names: [web.localhost]
  - name: api
    spiffe_id: /dev/api
    from: dev
    audiences: ['*']
    dns_names: [api.localhost]
`
}
