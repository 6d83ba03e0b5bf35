/**
 * The public API on Workers: what is known of a connection is what the platform says of it.
 *
 * @module
 */
import type { Configuration } from '../core/config.ts'
import { type AppDeps, createApp } from '../http/app.ts'
import { createAddressReader } from '../http/client-address.ts'
import type { Connection } from '../http/incoming-call.ts'
import { createHotLane } from './hot-lane.worker.ts'

export interface PublicAppDeps extends Pick<AppDeps, 'gateway' | 'telemetry' | 'now'> {
  readonly config: Configuration
  readonly newRequestId: () => string
}

/** Whom the platform had the request from; it lets nobody else set that header. */
const callerHeader = 'cf-connecting-ip'

export function createPublicApp({ config, ...deps }: PublicAppDeps): (request: Request) => Promise<Response> {
  const readAddress = createAddressReader(config.listen.trusted_proxies)
  const connection = (headers: Headers): Connection => {
    const header = (name: string) => headers.get(name) ?? undefined
    return { address: readAddress(header(callerHeader) ?? '', header), certificates: [] }
  }
  const app = createApp({
    ...deps,
    requestId: deps.newRequestId,
    connection: (env) => connection(env as Headers),
  })
  const hot = createHotLane({ ...deps, connection })
  return async (request) => hot(request) ?? app.fetch(request, request.headers)
}
