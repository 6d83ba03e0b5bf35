/**
 * What everybody may read of us: OIDC discovery, the key set, our SPIFFE bundle. Made once per version of the
 * authorities, so that a request for one costs a look-up.
 *
 * Two key documents that are easily confused: `/keys` holds JWT keys with `use: sig`, as OIDC libraries and clouds want
 * them; the bundle holds `jwt-svid` and `x509-svid` keys, as SPIFFE wants them. No document serves both.
 *
 * @module
 */
import { createHash, createPublicKey } from 'node:crypto'
import type { SignatureAlgorithm } from '../protocol/algorithms.ts'
import { formatPem, parseBase64 } from '../protocol/encoding.ts'
import { formatJwk } from '../protocol/jwk.ts'
import { buildDiscoveryDocument } from '../protocol/oidc-discovery.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { formatTrustBundle } from '../protocol/trust-bundle.ts'
import type { AuthoritySet } from './authority-document.ts'
import type { Authority } from './authority-plan.ts'
import type { Federation, HeldBundle } from './federation.ts'

/** A document as it is served. */
export interface PublishedDocument {
  readonly body: Uint8Array
  readonly contentType: string
  /** Strong, with its quotes. */
  readonly etag: string
  /** Tied to the rotation plan: a verifier that honours it never meets a key that it does not know. */
  readonly maxAgeSeconds: number
}

export interface PublishedDocuments {
  readonly discovery: PublishedDocument
  readonly keys: PublishedDocument
  readonly bundle: PublishedDocument
  readonly bundlePem: PublishedDocument
}

/** A bundle in its two forms. */
export type BundleDocuments = Pick<PublishedDocuments, 'bundle' | 'bundlePem'>

interface DocumentInput {
  readonly set: AuthoritySet
  readonly trustDomain: TrustDomain
  readonly issuer: string
  readonly refreshHintSeconds: number
}

export function buildPublishedDocuments(input: DocumentInput): PublishedDocuments {
  const maxAge = input.refreshHintSeconds
  const jwt = input.set.authorities.filter((authority) => authority.ring !== 'x509')
  const roots = publishedRoots(input.set.authorities)
  return {
    discovery: json(discovery(input.issuer, jwt), maxAge),
    keys: json(JSON.stringify({ keys: jwt.map(signatureJwk) }), maxAge, 'application/jwk-set+json'),
    bundle: json(bundle(input, jwt, roots), maxAge),
    bundlePem: pem(roots, maxAge),
  }
}

/** Our own certificates, or under an upstream authority the roots above them; each once. */
function publishedRoots(authorities: readonly Authority[]): readonly Uint8Array[] {
  const roots = authorities.flatMap(
    (authority) => authority.upstreamRoots ?? (authority.certificate ? [authority.certificate] : []),
  )
  return [...new Set(roots)].map((root) => parseBase64(root))
}

function discovery(issuer: string, jwt: readonly Authority[]): string {
  const algorithms = [...new Set<SignatureAlgorithm>(jwt.map((authority) => authority.algorithm))]
  return JSON.stringify(buildDiscoveryDocument({ issuer, jwksUri: `${issuer.replace(/\/$/, '')}/keys`, algorithms }))
}

function signatureJwk(authority: Authority) {
  return formatJwk(parseBase64(authority.publicKey), { use: 'sig', kid: authority.id, alg: authority.algorithm })
}

function bundle(input: DocumentInput, jwt: readonly Authority[], roots: readonly Uint8Array[]): string {
  return formatTrustBundle({
    trustDomain: input.trustDomain,
    sequence: BigInt(input.set.sequence),
    refreshHintSeconds: input.refreshHintSeconds,
    x509Authorities: roots,
    jwtAuthorities: jwt.map((authority) => ({
      kid: authority.id,
      key: createPublicKey({ key: parseBase64(authority.publicKey), format: 'der', type: 'spki' }),
    })),
  })
}

function json(body: string, maxAgeSeconds: number, contentType = 'application/json'): PublishedDocument {
  return publishDocument(body, maxAgeSeconds, contentType)
}

export function publishDocument(text: string, maxAgeSeconds: number, contentType: string): PublishedDocument {
  const body = new TextEncoder().encode(text)
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`
  return { body, contentType, etag, maxAgeSeconds }
}

/** The bundles of others as they are handed on: each document made once. */
export function createBundlePublisher(bundleOf: Federation['bundleOf']) {
  const published = new WeakMap<HeldBundle, BundleDocuments>()
  return (name: string): BundleDocuments | undefined => {
    const held = bundleOf(name as TrustDomain)
    if (held === undefined) return undefined
    const known = published.get(held) ?? documentsOf(held)
    published.set(held, known)
    return known
  }
}

function documentsOf({ document: text, bundle: { refreshHintSeconds, x509Authorities } }: HeldBundle): BundleDocuments {
  const maxAge = refreshHintSeconds ?? defaultHintSeconds
  return { bundle: json(text, maxAge), bundlePem: pem(x509Authorities, maxAge) }
}

function pem(authorities: readonly Uint8Array[], maxAge: number): PublishedDocument {
  return publishDocument(
    authorities.map((der) => formatPem('CERTIFICATE', der)).join(''),
    maxAge,
    'application/x-pem-file',
  )
}

/** Federation §4.2 */
const defaultHintSeconds = 300
