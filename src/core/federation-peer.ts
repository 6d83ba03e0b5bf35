/**
 * The trust domains that we federate with, as the configuration names them, and what is wrong with such a list.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md#5-bundle-endpoint SPIFFE Federation §5}
 * @module
 */
import type { SpiffeId, TrustDomain } from '../protocol/spiffe-id.ts'
import type { Problem } from './expression.ts'

/** A trust domain that we federate with. URL, profile and both names are all given, none follows from another (§5.1). */
export interface Peer {
  readonly trustDomain: TrustDomain
  /** Text of the file where trust starts. */
  readonly firstBundle?: string
  readonly endpoint?: BundleEndpoint
}

export type BundleEndpoint = {
  readonly url: string
  /** Whether hosts that redirects name may be in private networks. */
  readonly private: boolean
} & (
  | { readonly profile: 'https_web'; readonly caFile?: string }
  | { readonly profile: 'https_spiffe'; readonly spiffeId: SpiffeId }
)

/** A peer before its file was read. */
export interface PeerOutline {
  readonly trustDomain: TrustDomain
  readonly hasFirstBundle: boolean
  readonly endpoint?: BundleEndpoint
}

/**
 * What keeps peers from ever being trusted. Paths begin with `federation` and the trust domain, and go on with the key of
 * the configuration that is to be changed.
 *
 * @param isWhole Whether these are all peers that there are: what one needs of another is looked for then only.
 */
export function findFederationProblems(
  peers: readonly PeerOutline[],
  ours: TrustDomain,
  isWhole = true,
): readonly Problem[] {
  const known = new Set([ours, ...peers.map(({ trustDomain }) => trustDomain)])
  const started = findStarted(peers, ours)
  return peers.flatMap((peer) => {
    const single = [...sourceProblems(peer, ours), ...urlProblems(peer), ...endpointIdProblems(peer)]
    if (single.length > 0 || !isWhole) return single
    const unknown = unknownDomainProblems(peer, known)
    return unknown.length > 0 || started.has(peer.trustDomain) ? unknown : [circleProblem(peer)]
  })
}

/** Peers whose bundle can be had, and those whose endpoint it authenticates then, and so on. */
function findStarted(peers: readonly PeerOutline[], ours: TrustDomain): ReadonlySet<TrustDomain> {
  const started = new Set([ours])
  let waiting = peers
  for (let before = -1; before !== started.size; ) {
    before = started.size
    for (const peer of waiting) if (isStarted(peer, started)) started.add(peer.trustDomain)
    waiting = waiting.filter(({ trustDomain }) => !started.has(trustDomain))
  }
  return started
}

function isStarted({ hasFirstBundle, endpoint }: PeerOutline, started: ReadonlySet<TrustDomain>): boolean {
  if (hasFirstBundle || endpoint?.profile === 'https_web') return true
  return endpoint !== undefined && started.has(endpoint.spiffeId.trustDomain)
}

function sourceProblems({ trustDomain, hasFirstBundle, endpoint }: PeerOutline, ours: TrustDomain): readonly Problem[] {
  if (trustDomain === ours) return [problem(trustDomain, [], 'this is our own trust domain, which needs no federation')]
  if (hasFirstBundle || endpoint) return []
  return [problem(trustDomain, [], 'a bundle, an endpoint or both are needed')]
}

/** §5.2.1.1, §5.2.2.1 */
function urlProblems({ trustDomain, endpoint }: PeerOutline): readonly Problem[] {
  const url = endpoint && URL.parse(endpoint.url)
  if (url === undefined || (url?.protocol === 'https:' && url.username === '' && url.password === '')) return []
  return [problem(trustDomain, ['endpoint'], 'expected an https URL without user or password')]
}

function endpointIdProblems({ trustDomain, hasFirstBundle, endpoint }: PeerOutline): readonly Problem[] {
  if (endpoint?.profile !== 'https_spiffe') return []
  const { spiffeId } = endpoint
  if (spiffeId.path === '')
    return [problem(trustDomain, ['endpoint_spiffe_id'], 'an ID without a path is that of no server')]
  if (spiffeId.trustDomain === trustDomain && !hasFirstBundle) return [problem(trustDomain, ['bundle'], selfServing)]
  return []
}

function unknownDomainProblems(
  { trustDomain, endpoint }: PeerOutline,
  known: ReadonlySet<TrustDomain>,
): readonly Problem[] {
  if (endpoint?.profile !== 'https_spiffe' || known.has(endpoint.spiffeId.trustDomain)) return []
  return [problem(trustDomain, ['endpoint_spiffe_id'], unknownDomain(endpoint.spiffeId))]
}

/** §5.2.2.2 */
const selfServing =
  'an endpoint of the same trust domain is authenticated by the bundle that is held: a first one is needed, in a file'

const unknownDomain = ({ trustDomain }: SpiffeId) =>
  `there is no federation with ${trustDomain}, whose bundle would authenticate this endpoint: add it`

/** §5.2.2.2: each waits for a bundle that only the other can vouch for. */
function circleProblem({ trustDomain }: PeerOutline): Problem {
  return problem(
    trustDomain,
    ['endpoint_spiffe_id'],
    'this endpoint is authenticated by a bundle that can never be had, as endpoints vouch for each other in a circle: give one of them a first bundle',
  )
}

function problem(trustDomain: TrustDomain, path: Problem['path'], message: string): Problem {
  return { path: ['federation', trustDomain, ...path], message }
}
