/**
 * Reads SPIFFE bundle endpoints on Workers: those of profile `https_web`, as no Worker sees the certificate of a server.
 *
 * @module
 */
import type { FetchBundle } from '../core/federation.ts'
import { maxTrustBundleBytes } from '../protocol/trust-bundle.ts'
import { createBundleReader } from './bundle-endpoint.ts'
import { type ConnectUpstreamDeps, createConnectUpstream } from './connect-upstream.worker.ts'
import { UpstreamError } from './http-client.ts'

export function createFetchBundle({ fetch }: Pick<ConnectUpstreamDeps, 'fetch'>): FetchBundle {
  return createBundleReader({
    async open(endpoint, _authorities, bounds) {
      if (endpoint.profile !== 'https_web')
        throw new UpstreamError(
          'tls',
          `${new URL(endpoint.url).host} is of profile https_spiffe, which Workers can not read`,
        )
      const connect = createConnectUpstream({ ...bounds, fetch, maxBytes: maxTrustBundleBytes })
      const place = { hosts: [new URL(endpoint.url).hostname], private: endpoint.private }
      return connect({ ...place, ...(endpoint.caFile !== undefined && { caFile: endpoint.caFile }) })
    },
  })
}
