/**
 * Clients for upstreams on Workers: the platform resolves names, keeps connections and trusts the public authorities, and
 * lets nobody change that. What a Worker can judge is the address that stands in a URL itself.
 *
 * @module
 */
import { createAddressRule, refuseLiteral } from './address-rule.ts'
import {
  type ConnectUpstream,
  createHttpClient,
  type Fetch,
  type HttpClientDeps,
  UpstreamError,
} from './http-client.ts'

export interface ConnectUpstreamDeps extends Pick<HttpClientDeps, 'deadlineMs' | 'maxBytes' | 'startTimer'> {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
}

export function createConnectUpstream({ fetch, ...bounds }: ConnectUpstreamDeps): ConnectUpstream {
  return (place) => {
    const allowAddress = createAddressRule(place)
    const guarded: Fetch = async (url, { repeatable: _, ...init }) => {
      // Such a configuration is refused at start; a request must not go to whom the public authorities vouch for instead.
      if (place.caFile !== undefined) throw new UpstreamError('tls', 'ca_file means nothing on Workers')
      refuseLiteral(new URL(url).hostname, allowAddress)
      return fetch(url, init)
    }
    return createHttpClient({ ...bounds, fetch: guarded })
  }
}
