/**
 * A gateway in a temporary folder, on a port of 127.0.0.1, as `serve` starts it.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createPrometheusMetrics } from '../../../src/adapters/telemetry/prometheus.ts'
import type { RecordDocument } from '../../../src/core/record.ts'
import type { Telemetry } from '../../../src/core/telemetry.ts'
import { startServer } from '../../../src/runtime/server.node.ts'
import { makeFolder } from './cleanup.ts'
import { freePorts } from './command.ts'
import { ask, type Got, type Wanted } from './https.ts'

export interface TestGateway {
  /** `https://localhost:PORT`, which is also the issuer. */
  readonly origin: string
  readonly folder: string
  /** The X.509 authorities of the trust domain `example.org`, PEM: they also vouch for the gateway's own TLS. */
  readonly bundle: string
  readonly bundleFile: string
  readonly ask: (path: string, wanted?: Wanted) => Promise<Got>
  /** Of an authenticator called `first`, with many uses; `proof.name` is `name`. */
  readonly joinToken: (name: string) => Promise<string>
  /** Oldest first. */
  readonly records: () => Promise<readonly RecordDocument[]>
  /** What it logged. */
  readonly log: () => string
}

type Document = Readonly<Record<string, unknown>>

/** @param document What the configuration has besides trust domain, issuer, listeners, store and seal, by the gateway's origin. */
export async function startGateway(
  stack: AsyncDisposableStack,
  document: Document | ((origin: string) => Document),
): Promise<TestGateway> {
  const folder = await makeFolder(stack)
  const [port = 0] = await freePorts(1)
  const origin = `https://localhost:${port}`
  const configFile = join(folder, 'apostille.yaml')
  const rest = typeof document === 'function' ? document(origin) : document
  await writeFile(configFile, JSON.stringify({ ...fixedPart(origin, port), ...rest }))
  const { server, log } = await serve(stack, configFile)
  const socketPath = join(folder, 'admin.sock')
  const bundle = new TextDecoder().decode(server.gateway.published().bundlePem.body)
  const bundleFile = join(folder, 'bundle.pem')
  await writeFile(bundleFile, bundle)

  async function joinToken(name: string): Promise<string> {
    const json = { authenticator: 'first', name, uses: 1000 }
    const { token } = (await ask('http://admin/v1/join-tokens', { socketPath, json })).json
    return token
  }

  return {
    origin,
    folder,
    bundle,
    bundleFile,
    ask: (path, wanted) => ask(`${origin}${path}`, { ca: bundle, ...wanted }),
    joinToken,
    records: async () => (await ask('http://admin/v1/records?limit=1000', { socketPath })).json.items,
    log,
  }
}

function fixedPart(origin: string, port: number) {
  return {
    trust_domain: 'example.org',
    issuer: origin,
    listen: { address: `127.0.0.1:${port}` },
    admin: { listen: 'unix:./admin.sock' },
    store: 'sqlite:./apostille.db',
    seal: { file: './seal.key' },
  }
}

async function serve(stack: AsyncDisposableStack, configFile: string) {
  const lines: string[] = []
  const metrics = createPrometheusMetrics(() => {})
  const log: Telemetry['log'] = (severity, message, fields) =>
    void lines.push(`${severity} ${message} ${JSON.stringify(fields ?? {})}\n`)
  const server = await startServer(
    { configFile, logLevel: 'info', logFormat: 'text', purpose: 'serve', env: {} },
    { telemetry: { ...metrics, log }, metrics: metrics.expose },
  )
  stack.defer(server.close)
  return { server, log: () => lines.join('') }
}
