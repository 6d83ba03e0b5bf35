/**
 * Reads SPIFFE bundle endpoints, by either profile.
 *
 * `https_web` trusts the roots that come with Node, or a file; `https_spiffe` trusts the server that shows the X.509-SVID
 * of the configured ID, whatever the host is called. Redirects are followed within the profile: each hop is https, has
 * no user, and is authenticated as the first was; the next poll begins at the configured URL again.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md#5-bundle-endpoint SPIFFE Federation §5}
 * @module
 */
import { readFile } from 'node:fs/promises'
import type { BundleEndpoint, FetchBundle } from '../core/federation.ts'
import type { Certificate } from '../protocol/certificate.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { SpiffeId } from '../protocol/spiffe-id.ts'
import { maxTrustBundleBytes } from '../protocol/trust-bundle.ts'
import { validateX509Svid } from '../protocol/x509-svid.ts'
import { createAddressRule } from './connect-upstream.node.ts'
import { createHttpClient, type HttpClient, requireSuccess, UpstreamError } from './http-client.ts'
import { createHttpsFetch } from './https-fetch.node.ts'

export interface BundleEndpointDeps {
  readonly now: () => Date
  /** For each hop; 10 s by default. */
  readonly deadlineMs?: number
}

const maxHops = 5

export function createFetchBundle({ now, deadlineMs = 10_000 }: BundleEndpointDeps): FetchBundle {
  return async (endpoint, authorities) => {
    const client = await connect(endpoint, authorities, { now, deadlineMs })
    try {
      return await follow(client, endpoint.url)
    } finally {
      await client.close()
    }
  }
}

async function follow(client: HttpClient, start: string): Promise<string> {
  let url = start
  for (let hop = 0; hop < maxHops; hop++) {
    const answer = await client.request({ url, followable: true })
    if (answer.status < 300 || answer.status > 399) return requireSuccess(answer, url).text
    url = redirectTarget(url, answer.headers.get('location'), answer.status)
  }
  throw new UpstreamError('redirect', `more than ${maxHops} redirects from ${new URL(start).host}`)
}

/** The client refuses what is not https or names a user; here is only what a `Location` may leave out. */
function redirectTarget(from: string, location: string | null, status: number): string {
  const target = location === null ? null : URL.parse(location, from)
  if (target === null || status === 304)
    throw new UpstreamError('redirect', `${new URL(from).host} answered ${status} and names no place`, { status })
  return target.href
}

async function connect(
  endpoint: BundleEndpoint,
  authorities: readonly Certificate[],
  { now, deadlineMs }: Required<BundleEndpointDeps>,
): Promise<HttpClient> {
  const allowAddress = createAddressRule({ hosts: [new URL(endpoint.url).hostname], private: endpoint.private })
  const fetch = createHttpsFetch({ allowAddress, ...(await trustOf(endpoint, authorities, now)) })
  return createHttpClient({ fetch, deadlineMs, maxBytes: maxTrustBundleBytes, close: fetch.close })
}

async function trustOf(endpoint: BundleEndpoint, authorities: readonly Certificate[], now: () => Date) {
  if (endpoint.profile === 'https_spiffe')
    return {
      verifyPeer: (chain: readonly Uint8Array[]) => requireSpiffeId(chain, endpoint.spiffeId, authorities, now()),
    }
  return endpoint.caFile === undefined ? {} : { ca: await readFile(endpoint.caFile, 'utf8') }
}

/** §5.2.2.3: the certificate is an X.509-SVID of the configured ID, by the bundle that is held. */
function requireSpiffeId(
  chain: readonly Uint8Array[],
  expected: SpiffeId,
  authorities: readonly Certificate[],
  now: Date,
): void {
  try {
    const { spiffeId } = validateX509Svid(
      chain,
      (trustDomain) => (trustDomain === expected.trustDomain ? authorities : []),
      { now, leewaySeconds: 60, purpose: 'serverAuth' },
    )
    if (spiffeId.uri !== expected.uri)
      throw new UpstreamError('tls', `the endpoint shows ${spiffeId.uri}, and ${expected.uri} is expected`)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new UpstreamError(
      'tls',
      `the endpoint shows no X.509-SVID of ${expected.uri} that is trusted: ${cause.message}`,
      {
        cause,
      },
    )
  }
}
