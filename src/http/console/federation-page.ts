/**
 * Trust domains that we federate with, and how old what we hold of them is.
 *
 * @module
 */
import { html } from 'hono/html'
import type { PeerStatus } from '../../core/federation.ts'
import { code, distanceOf, type Markup, status, table, timeOf } from './layout.ts'

export function federationPage(peers: readonly PeerStatus[], now: Date): Markup {
  return table('Federated trust domains', columns(now), peers, 'The configuration has none.')
}

function columns(now: Date) {
  return [
    { title: 'Trust domain', cell: ({ trustDomain }: PeerStatus) => trustDomain },
    { title: 'State', cell: stateOf },
    {
      title: 'Seen to be current',
      cell: ({ state }: PeerStatus) =>
        state?.confirmedAt ? html`${distanceOf(state.confirmedAt, now)} (${timeOf(state.confirmedAt)})` : 'never',
    },
    {
      title: 'Next look',
      cell: ({ endpoint, state }: PeerStatus) => (endpoint && state ? distanceOf(state.pollAt, now) : ''),
    },
    { title: 'Keys', cell: keysOf },
    { title: 'Sequence', cell: ({ state }: PeerStatus) => state?.sequence ?? '', numeric: true },
    {
      title: 'Endpoint',
      cell: ({ endpoint }: PeerStatus) => (endpoint ? html`${code(endpoint.url)} ${endpoint.profile}` : 'none'),
    },
    { title: 'Problem', cell: ({ state }: PeerStatus) => state?.problem ?? '' },
  ]
}

function stateOf({ endpoint, state }: PeerStatus): Markup {
  if (state?.bundle === undefined) return status('bad', 'no bundle')
  if (state.failures > 0) return status('warning', `${state.failures} failed`)
  return endpoint ? status('good', 'fresh') : html`from ${state.source ?? 'file'}`
}

function keysOf({ state }: PeerStatus): string {
  return state?.keys ? `${state.keys.x509} X.509, ${state.keys.jwt} JWT` : ''
}
