/**
 * The Worker on this machine, in workerd by way of miniflare: nothing of it leaves the machine but what its configuration
 * names.
 *
 * @module
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Log, LogLevel, Miniflare } from 'miniflare'

export interface LocalWorkerOptions {
  /** Where `buildWorker` has put it. */
  readonly folder: string
  /** Variables and secrets. */
  readonly bindings: Readonly<Record<string, string>>
  /** On 127.0.0.1; a free one by default. */
  readonly port?: number
  /** Where it keeps what it stores; by default it does so for as long as it runs. */
  readonly keptIn?: string
  /** PEM; plain HTTP by default. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Answers what the Worker asks of others; the network by default. */
  readonly outbound?: (request: OutboundRequest) => Promise<Response>
}

export type OutboundRequest = Pick<Request, 'url' | 'method' | 'headers' | 'text'>

export interface LocalWorker {
  readonly url: URL
  /** Asks its admin API, which no port leads to. */
  readonly administer: (path: string, init?: RequestInit) => Promise<Response>
  /** What the platform's clock does every minute. */
  readonly tick: () => Promise<void>
  readonly close: () => Promise<void>
}

const everyMinute = '* * * * *'

export const compatibility = { compatibilityDate: '2026-07-28', compatibilityFlags: ['nodejs_compat'] }

export async function startLocalWorker(options: LocalWorkerOptions): Promise<LocalWorker> {
  const { folder, bindings, port = 0, keptIn, tls, outbound } = options
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port,
    cf: false,
    log: new Log(LogLevel.WARN),
    ...(keptIn !== undefined && { defaultPersistRoot: keptIn }),
    ...(tls && { https: true, httpsCert: tls.cert, httpsKey: tls.key }),
    workers: [
      {
        name: 'apostille',
        ...compatibility,
        modulesRoot: folder,
        modules: modulesIn(folder),
        bindings,
        durableObjects: { GATEWAY: { className: 'Gateway', useSQLite: true } },
        ...(outbound && { outboundService: outbound as never }),
      },
      {
        name: 'operator',
        ...compatibility,
        modules: true,
        script: 'export default { fetch: (request, { APOSTILLE }) => APOSTILLE.fetch(request) }',
        serviceBindings: { APOSTILLE: { name: 'apostille', entrypoint: 'Administration' } },
      },
    ],
  })
  const url = await miniflare.ready
  const handlersOf = async (name: string) => (await miniflare.getWorker(name)) as unknown as Handlers
  const [gateway, operator] = await Promise.all([handlersOf('apostille'), handlersOf('operator')])
  return {
    url,
    administer: (path, init) => operator.fetch(new URL(path, url).href, init),
    tick: async () => void (await gateway.scheduled({ cron: everyMinute })),
    close: () => miniflare.dispose(),
  }
}

/** The part of a Worker that is called here; miniflare's own types want those of the platform installed. */
interface Handlers {
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>
  readonly scheduled: (event: { readonly cron: string }) => Promise<unknown>
}

/** The entry first. */
function modulesIn(folder: string) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  const sorted = files.toSorted((a, b) => Number(b === 'index.js') - Number(a === 'index.js'))
  return sorted.map((name) => ({ type: 'ESModule' as const, path: join(folder, name) }))
}
