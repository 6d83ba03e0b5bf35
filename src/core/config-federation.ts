/**
 * The part of the configuration that says with which trust domains we federate, and how their bundles are had.
 *
 * @module
 */
import * as z from 'zod'
import { parseSpiffeId, parseTrustDomain, type TrustDomain } from '../protocol/spiffe-id.ts'
import { protocolField } from './config-fields.ts'
import type { Found } from './config-source.ts'
import type { BundleEndpoint, PeerOutline } from './federation-peer.ts'

const path = z.string().min(1).max(4096)

export const federationPeerSchema = z.strictObject({
  bundle: path.optional(),
  endpoint: z.url({ protocol: /^https$/, error: 'expected an https URL' }).optional(),
  profile: z.enum(['https_web', 'https_spiffe'], { error: 'expected https_web or https_spiffe' }).optional(),
  endpoint_spiffe_id: protocolField(parseSpiffeId, 'a SPIFFE ID').optional(),
  ca_file: path.optional(),
  private: z.boolean().default(false),
})

export const trustDomainKey = z.string().refine(isTrustDomain, { error: 'expected a trust domain name, in lower case' })

export const federationSchema = z.record(trustDomainKey, federationPeerSchema).default({})

export type FederationPeerDocument = z.output<typeof federationPeerSchema>

/** A peer as configured, with the file of its first bundle, if it has one. */
export interface ConfiguredPeer {
  readonly trustDomain: TrustDomain
  readonly bundleFile?: string
  readonly endpoint?: BundleEndpoint
}

function isTrustDomain(text: string): boolean {
  try {
    return parseTrustDomain(text) === text
  } catch {
    return false
  }
}

/** Undefined where what belongs together is not there: {@link findPeerProblems} says so. */
export function readPeer(name: string, document: FederationPeerDocument): ConfiguredPeer | undefined {
  if (findPeerProblems(name, document).length > 0 || !isTrustDomain(name)) return undefined
  const endpoint = readEndpoint(document)
  return {
    trustDomain: parseTrustDomain(name),
    ...(document.bundle !== undefined && { bundleFile: document.bundle }),
    ...(endpoint && { endpoint }),
  }
}

function readEndpoint(document: FederationPeerDocument): BundleEndpoint | undefined {
  const { endpoint: url, profile, endpoint_spiffe_id: spiffeId, ca_file: caFile } = document
  if (url === undefined) return undefined
  if (profile === 'https_spiffe' && spiffeId) return { url, private: document.private, profile, spiffeId }
  return { url, private: document.private, profile: 'https_web', ...(caFile !== undefined && { caFile }) }
}

/** Of a peer that {@link findPeerProblems} finds fault with, no more is to be found: it passes for one with a bundle. */
export function outlinePeer(name: string, document: FederationPeerDocument): PeerOutline | undefined {
  if (!isTrustDomain(name)) return undefined
  const peer = readPeer(name, document)
  if (peer === undefined) return { trustDomain: parseTrustDomain(name), hasFirstBundle: true }
  const { trustDomain, bundleFile, endpoint } = peer
  return { trustDomain, hasFirstBundle: bundleFile !== undefined, ...(endpoint && { endpoint }) }
}

/** Keys that belong together and do not stand together. Nothing of a peer is inferred (Federation §5.1). */
export function findPeerProblems(name: string, document: FederationPeerDocument): readonly Found[] {
  const { endpoint, profile, endpoint_spiffe_id: spiffeId, ca_file: caFile } = document
  const at = (key: string, message: string): Found => ({ path: ['federation', name, key], message })
  const found: Found[] = []
  if (endpoint !== undefined && profile === undefined)
    found.push(at('endpoint', 'an endpoint has a profile: https_web or https_spiffe'))
  if (endpoint === undefined && profile !== undefined) found.push(at('profile', 'a profile is that of an endpoint'))
  if (profile === 'https_spiffe' && spiffeId === undefined)
    found.push(at('profile', 'https_spiffe needs endpoint_spiffe_id, by which the endpoint is known'))
  if (profile !== 'https_spiffe' && spiffeId !== undefined)
    found.push(at('endpoint_spiffe_id', 'only an endpoint with profile https_spiffe is known by a SPIFFE ID'))
  if (profile !== 'https_web' && caFile !== undefined)
    found.push(at('ca_file', 'only an endpoint with profile https_web is known by a CA'))
  return found
}
