/**
 * Federation on Node: first bundles from files, endpoints over HTTPS, polls at their times.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { createFetchBundle } from '../adapters/bundle-endpoint.node.ts'
import type { Authorities } from '../core/authorities.ts'
import type { Configuration } from '../core/config.ts'
import type { ConfiguredPeer } from '../core/config-federation.ts'
import { createFederation, type Federation, type FederationDeps, type Peer } from '../core/federation.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { maxTrustBundleBytes } from '../protocol/trust-bundle.ts'
import { DocumentError } from './configuration.node.ts'
import { unlessReadOnly } from './unless-read-only.ts'

export interface NodeFederation extends Federation {
  /** Takes the peers of a configuration, with their files read, before they are put into use. */
  readonly prepare: (config: Configuration) => Promise<PreparedPeers>
  /** Puts them into use. */
  readonly adopt: (peers: PreparedPeers) => Promise<void>
}

export type PreparedPeers = ReadonlyMap<TrustDomain, Peer>

type NodeFederationDeps = Pick<FederationDeps, 'store' | 'writer' | 'telemetry' | 'now'> & {
  readonly authorities: Pick<Authorities, 'current'>
  readonly config: Configuration
}

/** @throws {DocumentError} for a first bundle that can not be read */
export async function startFederation(deps: NodeFederationDeps): Promise<NodeFederation> {
  let peers = await preparePeers(deps.config)
  const federation = createFederation({
    ...deps,
    peers: () => peers,
    own: () => ({
      trustDomain: deps.config.trustDomain,
      x509Authorities: deps.authorities.current().x509Issuers,
    }),
    fetchBundle: createFetchBundle({ now: deps.now }),
    random: Math.random,
  })
  await unlessReadOnly(deps.telemetry, 'what is kept of federated trust domains', federation.refresh)
  return {
    ...federation,
    prepare: preparePeers,
    async adopt(next) {
      peers = next
      await federation.refresh()
    },
  }
}

async function preparePeers({ federation }: Configuration): Promise<PreparedPeers> {
  const peers = await Promise.all(federation.map(preparePeer))
  return new Map(peers.map((peer) => [peer.trustDomain, peer]))
}

async function preparePeer({ trustDomain, bundleFile, endpoint }: ConfiguredPeer): Promise<Peer> {
  return {
    trustDomain,
    ...(bundleFile !== undefined && { firstBundle: await readFirstBundle(trustDomain, bundleFile) }),
    ...(endpoint && { endpoint }),
  }
}

async function readFirstBundle(trustDomain: TrustDomain, file: string): Promise<string> {
  try {
    const text = await readFile(file)
    if (text.length > maxTrustBundleBytes) throw new Error(`it has more than ${maxTrustBundleBytes} bytes`)
    return new TextDecoder('utf-8', { fatal: true }).decode(text)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : cause instanceof Error ? cause.message : 'unreadable'
    throw new DocumentError(`federation.${trustDomain}.bundle: ${file} can not be read: ${why}`, { cause })
  }
}
