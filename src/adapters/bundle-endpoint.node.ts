/**
 * Reads SPIFFE bundle endpoints on Node, by either profile: `https_web` trusts the roots of the machine, or a file;
 * `https_spiffe` trusts the server that shows the X.509-SVID of the configured ID, whatever the host is called.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md#5-bundle-endpoint SPIFFE Federation §5}
 * @module
 */
import type { BundleEndpoint, FetchBundle } from '../core/federation.ts'
import type { Certificate } from '../protocol/certificate.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { SpiffeId } from '../protocol/spiffe-id.ts'
import { maxTrustBundleBytes } from '../protocol/trust-bundle.ts'
import { validateX509Svid } from '../protocol/x509-svid.ts'
import { createAddressRule } from './address-rule.ts'
import { type BundleReaderDeps, createBundleReader } from './bundle-endpoint.ts'
import { createFileReader } from './file-reader.node.ts'
import { createHttpClient, UpstreamError } from './http-client.ts'
import { createHttpsFetch } from './https-fetch.node.ts'
import { createSystemTrust } from './system-trust.node.ts'

export interface BundleEndpointDeps extends Omit<BundleReaderDeps, 'open'> {
  readonly now: () => Date
  /** Default: those of {@link createSystemTrust}. */
  readonly systemRoots?: () => readonly string[]
}

export function createFetchBundle({ now, systemRoots, ...deps }: BundleEndpointDeps): FetchBundle {
  const system = createSystemTrust(systemRoots)
  return createBundleReader({
    ...deps,
    async open(endpoint, authorities, bounds) {
      const trust = await trustOf(endpoint, { authorities, system, now })
      const allowAddress = createAddressRule({ hosts: [new URL(endpoint.url).hostname], private: endpoint.private })
      const fetch = createHttpsFetch({ allowAddress, ...trust })
      return createHttpClient({ ...bounds, fetch, maxBytes: maxTrustBundleBytes, close: fetch.close })
    },
  })
}

type Trust = Pick<Parameters<typeof createHttpsFetch>[0], 'ca' | 'secureContext' | 'verifyPeer'>

interface TrustDeps {
  readonly authorities: readonly Certificate[]
  readonly system: ReturnType<typeof createSystemTrust>
  readonly now: () => Date
}

async function trustOf(endpoint: BundleEndpoint, { authorities, system, now }: TrustDeps): Promise<Trust> {
  if (endpoint.profile === 'https_spiffe')
    return { verifyPeer: (chain) => requireSpiffeId(chain, endpoint.spiffeId, authorities, now()) }
  return endpoint.caFile === undefined ? { secureContext: system() } : { ca: await readAuthorities(endpoint.caFile) }
}

const maxAuthoritiesBytes = 1024 * 1024

async function readAuthorities(path: string): Promise<string> {
  try {
    return await createFileReader(maxAuthoritiesBytes).read(path)
  } catch (cause) {
    throw new UpstreamError('tls', 'ca_file could not be read', { cause })
  }
}

/** §5.2.2.3: the certificate is an X.509-SVID of the configured ID, by the bundle that is held. */
function requireSpiffeId(
  chain: readonly Uint8Array[],
  expected: SpiffeId,
  authorities: readonly Certificate[],
  now: Date,
): void {
  const { uri } = validateServer(chain, expected, authorities, now)
  if (uri !== expected.uri) throw new UpstreamError('tls', `the endpoint shows ${uri}, and ${expected.uri} is expected`)
}

/** Only authorities of the expected trust domain count, whatever name a certificate of theirs has. */
function validateServer(
  chain: readonly Uint8Array[],
  { uri, trustDomain }: SpiffeId,
  authorities: readonly Certificate[],
  now: Date,
): SpiffeId {
  try {
    const own = (wanted: string) => (wanted === trustDomain ? authorities : [])
    return validateX509Svid(chain, own, { now, leewaySeconds: 60, purpose: 'serverAuth' }).spiffeId
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new UpstreamError('tls', `the endpoint shows no X.509-SVID that is trusted for ${uri} (${cause.message})`, {
      cause,
    })
  }
}
