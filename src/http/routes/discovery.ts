/**
 * What everybody may read: OIDC discovery, key set, bundle. Made to be cached: `ETag`, 304, `max-age` of the rotation
 * plan, open to every origin.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9110#section-13 RFC 9110 §13}
 * @module
 */
import type { Gateway } from '../../core/gateway.ts'
import type { BundleDocuments, PublishedDocument, PublishedDocuments } from '../../core/published-documents.ts'
import { Refusal } from '../../core/refusal.ts'
import type { Answer } from '../answer.ts'

export const documentPaths = {
  '/.well-known/openid-configuration': 'discovery',
  '/keys': 'keys',
  '/v1/bundle': 'bundle',
} as const satisfies Record<string, keyof PublishedDocuments>

export type DocumentPath = keyof typeof documentPaths

/** Those that belong to the issuer, and so are served below its path only. */
export const issuerPaths: ReadonlySet<string> = new Set(['/.well-known/openid-configuration', '/keys', '/token'])

export function isDocumentPath(path: string): path is DocumentPath {
  return Object.hasOwn(documentPaths, path)
}

/** @param format The query's `format`, for the bundle: `pem` or `json`. Undefined when it is neither. */
export function chooseDocument(
  published: PublishedDocuments,
  path: DocumentPath,
  format: string | undefined,
): PublishedDocument | undefined {
  return path === '/v1/bundle' ? chooseBundle(published, format) : published[documentPaths[path]]
}

/** @param format `pem` or `json`, which is the default. Undefined when it is neither. */
export function chooseBundle(documents: BundleDocuments, format: string | undefined): PublishedDocument | undefined {
  if (format === undefined || format === 'json') return documents.bundle
  return format === 'pem' ? documents.bundlePem : undefined
}

export function documentAnswer(document: PublishedDocument, ifNoneMatch: string | undefined): Answer {
  const headers = headersOf(document)
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, document.etag)) return { status: 304, headers, body: '' }
  return { status: 200, headers: { ...headers, 'content-type': document.contentType }, body: document.body }
}

function headersOf({ etag, maxAgeSeconds }: PublishedDocument) {
  return {
    etag,
    'cache-control': `public, max-age=${maxAgeSeconds}`,
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'etag',
  }
}

/** Weak comparison, as §13.1.2 asks for `If-None-Match`. */
function matches(ifNoneMatch: string, etag: string): boolean {
  return ifNoneMatch.split(',').some((candidate) => ['*', etag, `W/${etag}`].includes(candidate.trim()))
}

export function documentFor(
  gateway: Pick<Gateway, 'published'>,
  path: DocumentPath,
  format: string | undefined,
  ifNoneMatch: string | undefined,
): Answer {
  return chosenAnswer(chooseDocument(gateway.published(), path, format), ifNoneMatch)
}

export function chosenAnswer(document: PublishedDocument | undefined, ifNoneMatch: string | undefined): Answer {
  return documentAnswer(requireDocument(document), ifNoneMatch)
}

/** @throws {Refusal} `malformed_request` for a format that is none */
export function requireDocument(document: PublishedDocument | undefined): PublishedDocument {
  if (document !== undefined) return document
  throw new Refusal('malformed_request', 'unknown format', { detail: 'format: expected json or pem' })
}
