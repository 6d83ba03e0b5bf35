/**
 * `npm run worker:dev -- --port N`: the Worker in workerd on this machine, with the configuration that `APOSTILLE_CONFIG`
 * names (default `./apostille.yaml`). It listens on loopback only; its admin API is where the configuration has it, so that
 * the commands of an operator work as with `apostille serve`.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import type { Configuration } from '../src/core/config.ts'
import { formatListenAddress } from '../src/core/listen-address.ts'
import { sealKeyBinding } from '../src/runtime/bindings.worker.ts'
import { loadConfiguration } from '../src/runtime/configuration.node.ts'
import { listen } from '../src/runtime/listener.node.ts'
import { readSealKey } from '../src/runtime/seal-key.node.ts'
import { buildWorker } from './build-worker.ts'
import { type LocalWorker, startLocalWorker } from './local-worker.ts'
import { runScript } from './script-failure.ts'
import { readBindings } from './worker-bindings.ts'

const tickMs = 60_000

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '8787' } } })
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error('--port takes a port, 0 for a free one')
  const configFile = process.env['APOSTILLE_CONFIG'] ?? 'apostille.yaml'
  const { variables, secrets } = await readBindings(configFile)
  const config = await loadConfiguration(configFile)
  const keptIn = folderBeside(config.store)
  const sealKey = await readSealKey({ seal: config.seal, env: process.env, storeIsEmpty: !existsSync(keptIn) })
  const { modules } = await buildWorker()
  const worker = await startLocalWorker({
    modules,
    port,
    keptIn,
    bindings: {
      ...variables,
      ...secrets,
      [sealKeyBinding(config)]: Buffer.from(sealKey).toString('base64'),
    },
  })
  await worker.tick()
  const admin = await serveAdministration(worker, config.admin.listen)
  const clock = setInterval(() => void worker.tick().catch(() => undefined), tickMs)
  console.log(`ready: ${worker.url.origin}, admin API at ${formatListenAddress(admin.address)}`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())

  async function stop(): Promise<void> {
    clearInterval(clock)
    await admin.close(0)
    await worker.close()
  }
}

/** Beside the store of `serve`, which has another form. Stores that no Worker has were refused with the bindings. */
function folderBeside(store: Configuration['store']): string {
  if (store.kind !== 'sqlite') throw new Error(`a Worker keeps nothing in ${store.kind}`)
  return `${store.path}.worker`
}

async function serveAdministration(worker: LocalWorker, address: Parameters<typeof listen>[0]['address']) {
  if (address.kind === 'unix') await mkdir(dirname(address.path), { recursive: true, mode: 0o700 })
  const handle = (request: IncomingMessage, response: ServerResponse) => void forward(worker, request, response)
  return listen({ address, mode: 0o600, handle })
}

async function forward(worker: LocalWorker, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = 'GET', url = '/' } = request
  const body = await buffer(request)
  const answer = await worker.administer(url, {
    method,
    headers: { 'content-type': request.headers['content-type'] ?? 'application/json' },
    ...(body.length > 0 && { body: new Uint8Array(body) }),
  })
  response.writeHead(answer.status, Object.fromEntries(answer.headers))
  response.end(Buffer.from(await answer.arrayBuffer()))
}

await runScript(main)
