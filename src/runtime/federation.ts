/**
 * Federation as the configuration has it: first bundles from its files, polls at their times.
 *
 * @module
 */
import type { FileReader } from '../adapters/watched-file.ts'
import type { Authorities } from '../core/authorities.ts'
import type { Configuration } from '../core/config.ts'
import type { ConfiguredPeer } from '../core/config-federation.ts'
import { createFederation, type Federation, type FederationDeps, type Peer } from '../core/federation.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { DocumentError } from './document-error.ts'
import { unlessReadOnly } from './unless-read-only.ts'

type BundleReader = Pick<FileReader, 'read'>

export interface ConfiguredFederation extends Federation {
  /** Takes the peers of a configuration, with their files read, before they are put into use. */
  readonly prepare: (config: Configuration) => Promise<PreparedPeers>
  /** Puts them into use. */
  readonly adopt: (peers: PreparedPeers) => Promise<void>
}

export type PreparedPeers = ReadonlyMap<TrustDomain, Peer>

type ConfiguredFederationDeps = Pick<FederationDeps, 'store' | 'writer' | 'telemetry' | 'now' | 'fetchBundle'> & {
  /** Of bundles, which it reads up to their greatest length. */
  readonly files: BundleReader
  readonly authorities: Pick<Authorities, 'current'>
  readonly config: Configuration
}

/** @throws {DocumentError} for a first bundle that can not be read */
export async function startFederation(deps: ConfiguredFederationDeps): Promise<ConfiguredFederation> {
  const prepare = ({ federation }: Configuration) => preparePeers(deps.files, federation)
  let peers = await prepare(deps.config)
  const federation = createFederation({
    ...deps,
    peers: () => peers,
    own: () => ({
      trustDomain: deps.config.trustDomain,
      x509Authorities: deps.authorities.current().x509Issuers,
    }),
    random: Math.random,
  })
  await unlessReadOnly(deps.telemetry, 'what is kept of federated trust domains', federation.refresh)
  return {
    ...federation,
    prepare,
    async adopt(next) {
      peers = next
      await federation.refresh()
    },
  }
}

async function preparePeers(files: BundleReader, configured: readonly ConfiguredPeer[]): Promise<PreparedPeers> {
  const peers = await Promise.all(configured.map((peer) => preparePeer(files, peer)))
  return new Map(peers.map((peer) => [peer.trustDomain, peer]))
}

async function preparePeer(files: BundleReader, { trustDomain, bundleFile, endpoint }: ConfiguredPeer): Promise<Peer> {
  return {
    trustDomain,
    ...(bundleFile !== undefined && { firstBundle: await readFirstBundle(files, trustDomain, bundleFile) }),
    ...(endpoint && { endpoint }),
  }
}

async function readFirstBundle(files: BundleReader, trustDomain: TrustDomain, file: string): Promise<string> {
  try {
    return await files.read(file)
  } catch (cause) {
    const { code } = cause as { readonly code?: string }
    const why = code === 'ENOENT' ? 'there is no such file' : cause instanceof Error ? cause.message : 'unreadable'
    throw new DocumentError(`federation.${trustDomain}.bundle: ${file} can not be read: ${why}`, { cause })
  }
}
