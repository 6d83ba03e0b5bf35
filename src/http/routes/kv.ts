/**
 * Our own versioned secrets, in the form of Vault's KV v2: for callers on the public listener and for operators on the
 * admin socket.
 *
 * @see {@link https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 KV v2: API}
 * @module
 */
import * as z from 'zod'
import type { ReadSecret, SecretKeeper, VersionFacts } from '../../core/keep-secrets.ts'
import { Refusal } from '../../core/refusal.ts'
import { type Secret, type SecretSettings, usualMaxVersions } from '../../core/secret.ts'
import { parseSecretFolder, parseSecretPath } from '../../core/secret-path.ts'
import { isJsonObject } from '../../protocol/json.ts'
import { type Answer, jsonAnswer, noStore } from '../answer.ts'
import { malformed, readJsonBody, requireMediaType, spiffeIdField } from '../body.ts'
import { listQuery, positionField, readQuery } from '../list-query.ts'
import type { SecretMetadataDocument, VersionFactsDocument } from '../openapi/kv-documents.ts'
import { problemDocument } from '../problem.ts'

export const kvPath = '/v1/kv/'

export interface KvRequest<Asker> {
  readonly requestId: string
  /** As it came, with its query: nothing of it is decoded or resolved. */
  readonly target: string
  readonly contentType: string | undefined
  readonly readBody: () => Promise<string>
  /** Called once all of the request is read. @param spiffeId The identity that is to act. */
  readonly asker: (spiffeId: string | undefined) => Asker
}

export interface KvRoute<Asker> {
  readonly methods: readonly string[]
  /** Below {@link kvPath}; the path of the secret follows. */
  readonly folder: string
  /** As records name it, also where the request is refused before anybody knows who asks. */
  readonly operation: (target: string) => string
  readonly answer: (request: KvRequest<Asker>) => Promise<Answer>
}

const casField = z.int().min(0).max(1_000_000_000)
/** The data is looked at by the operation. */
export const kvDataBody = z.strictObject({
  data: z.unknown(),
  options: z.strictObject({ cas: casField.optional() }).optional(),
})
export const kvVersionsBody = z.strictObject({
  versions: z.array(z.int().min(1).max(1_000_000_000)).min(1).max(100),
})
export const kvMetadataBody = z.strictObject({
  custom_metadata: z
    .custom<SecretSettings['customMetadata']>(isCustomMetadata, {
      error: 'expected at most 64 names of up to 128 characters with texts of up to 512',
    })
    .optional(),
  max_versions: z.int().min(0).max(100).optional(),
  cas_required: z.boolean().optional(),
})

function isCustomMetadata(value: unknown): boolean {
  if (!isJsonObject(value)) return false
  const members = Object.entries(value)
  const fits = ([name, text]: [string, unknown]) =>
    name !== '' && name.length <= 128 && typeof text === 'string' && text.length <= 512
  return members.length <= 64 && members.every(fits)
}

const identityQuery = { spiffe_id: spiffeIdField.optional() }
const versionField = z
  .string()
  .regex(/^\d{1,9}$/, { error: 'expected the number of a version' })
  .transform(Number)
export const kvQueries = {
  identity: identityQuery,
  version: { ...identityQuery, version: versionField.optional() },
  folder: {
    ...identityQuery,
    list: z.literal('true', { error: 'expected true' }).optional(),
    limit: listQuery.limit,
    after: positionField.max(513).optional(),
  },
}

/** In the order in which they are described. */
export function kvRoutes<Asker>(secrets: SecretKeeper<Asker>): readonly KvRoute<Asker>[] {
  return [...dataRoutes(secrets), ...versionRoutes(secrets), ...metadataRoutes(secrets)]
}

function dataRoutes<Asker>(secrets: SecretKeeper<Asker>): readonly KvRoute<Asker>[] {
  return [
    {
      methods: ['GET'],
      folder: 'data',
      operation: () => 'kv.read',
      async answer(request) {
        const path = readSecretPath(request, 'data')
        const { version, spiffe_id } = readSearch(request, z.strictObject(kvQueries.version))
        // As there, 0 is the current one.
        const wanted = version === undefined || version === 0 ? {} : { version }
        return versionAnswer(await secrets.read(request.asker(spiffe_id), { path, ...wanted }), request.requestId)
      },
    },
    {
      methods: ['POST', 'PUT'],
      folder: 'data',
      operation: () => 'kv.write',
      answer: (request) => answerWrite(request, secrets.write, ['application/json']),
    },
    {
      methods: ['PATCH'],
      folder: 'data',
      operation: () => 'kv.patch',
      answer: (request) => answerWrite(request, secrets.patch, ['application/merge-patch+json', 'application/json']),
    },
    {
      methods: ['DELETE'],
      folder: 'data',
      operation: () => 'kv.delete',
      async answer(request) {
        const path = readSecretPath(request, 'data')
        await secrets.delete(askerOf(request), { path })
        return done
      },
    },
  ]
}

async function answerWrite<Asker>(
  request: KvRequest<Asker>,
  write: SecretKeeper<Asker>['write'],
  mediaTypes: readonly string[],
): Promise<Answer> {
  const path = readSecretPath(request, 'data')
  requireMediaType(request.contentType, ...mediaTypes)
  const { data, options } = readJsonBody(await request.readBody(), kvDataBody)
  const cas = options?.cas
  return jsonAnswer({
    data: factsDocument(await write(askerOf(request), { path, data, ...(cas !== undefined && { cas }) })),
  })
}

/** `POST` with the numbers of versions. */
function versionRoutes<Asker>(secrets: SecretKeeper<Asker>): readonly KvRoute<Asker>[] {
  return (['delete', 'undelete', 'destroy'] as const).map((folder) => ({
    methods: ['POST', 'PUT'],
    folder,
    operation: () => `kv.${folder}`,
    async answer(request) {
      const path = readSecretPath(request, folder)
      requireMediaType(request.contentType, 'application/json')
      const { versions } = readJsonBody(await request.readBody(), kvVersionsBody)
      await secrets[folder](askerOf(request), { path, versions })
      return done
    },
  }))
}

function metadataRoutes<Asker>(secrets: SecretKeeper<Asker>): readonly KvRoute<Asker>[] {
  return [
    {
      methods: ['GET'],
      folder: 'metadata',
      operation: (target) => (isList(target) ? 'kv.list' : 'kv.history'),
      async answer(request) {
        if (isList(request.target)) return listAnswer(secrets, request)
        const path = readSecretPath(request, 'metadata')
        return jsonAnswer({ data: metadataDocument(await secrets.history(askerOf(request), { path })) })
      },
    },
    // Not over HTTP/1.1: the parser of Node knows no such method.
    {
      methods: ['LIST'],
      folder: 'metadata',
      operation: () => 'kv.list',
      answer: (request) => listAnswer(secrets, request),
    },
    {
      methods: ['POST', 'PUT'],
      folder: 'metadata',
      operation: () => 'kv.configure',
      async answer(request) {
        const path = readSecretPath(request, 'metadata')
        requireMediaType(request.contentType, 'application/json')
        const settings = settingsOf(readJsonBody(await request.readBody(), kvMetadataBody))
        await secrets.configure(askerOf(request), { path, ...settings })
        return done
      },
    },
    {
      methods: ['DELETE'],
      folder: 'metadata',
      operation: () => 'kv.purge',
      async answer(request) {
        const path = readSecretPath(request, 'metadata')
        await secrets.purge(askerOf(request), { path })
        return done
      },
    },
  ]
}

function settingsOf({ custom_metadata, max_versions, cas_required }: z.output<typeof kvMetadataBody>) {
  return {
    ...(custom_metadata && { customMetadata: custom_metadata }),
    ...(max_versions !== undefined && { maxVersions: max_versions || usualMaxVersions }),
    ...(cas_required !== undefined && { casRequired: cas_required }),
  }
}

async function listAnswer<Asker>(secrets: SecretKeeper<Asker>, request: KvRequest<Asker>): Promise<Answer> {
  const folder = parseSecretFolder(readRest(request.target, 'metadata'))
  const { spiffe_id, limit, after } = readSearch(request, z.strictObject(kvQueries.folder))
  const query = { folder, limit, ...(after !== undefined && { after }) }
  const { keys, more } = await secrets.list(request.asker(spiffe_id), query)
  return jsonAnswer({ data: { keys }, next: more ? (keys.at(-1) ?? null) : null })
}

const done: Answer = { status: 204, headers: noStore, body: '' }

/** Of requests without a query of their own. */
function askerOf<Asker>(request: KvRequest<Asker>): Asker {
  return request.asker(readSearch(request, z.strictObject(kvQueries.identity)).spiffe_id)
}

function isList(target: string): boolean {
  return new URLSearchParams(searchOf(target)).has('list')
}

function searchOf(target: string): string {
  const at = target.indexOf('?')
  return at < 0 ? '' : target.slice(at + 1)
}

/** @throws {Refusal} `malformed_request` */
function readSearch<Asker, Schema extends z.ZodType>({ target }: KvRequest<Asker>, schema: Schema): z.output<Schema> {
  const pairs = [...new URLSearchParams(searchOf(target))]
  const names = new Set(pairs.map(([name]) => name))
  if (names.size < pairs.length) throw malformed('a parameter is repeated')
  return readQuery(Object.fromEntries(pairs), schema)
}

function readSecretPath<Asker>({ target }: KvRequest<Asker>, folder: string) {
  return parseSecretPath(readRest(target, folder))
}

/**
 * What comes after the folder, decoded once and segment by segment, so that an encoded slash joins nothing. A target that
 * came here by `..`, which clients and proxies resolve in their own ways, is refused.
 *
 * @throws {Refusal} `malformed_request`
 */
function readRest(target: string, folder: string): string {
  const prefix = kvPath + folder
  const [path = ''] = target.split('?', 1)
  if (path === prefix) return ''
  if (!path.startsWith(`${prefix}/`)) throw malformed('path: written in a roundabout way')
  return path
    .slice(prefix.length + 1)
    .split('/')
    .map(decodeSegment)
    .join('/')
}

function decodeSegment(segment: string): string {
  try {
    const decoded = decodeURIComponent(segment)
    if (!decoded.includes('/')) return decoded
  } catch (error) {
    if (!(error instanceof URIError)) throw error
  }
  throw malformed('path: a segment is not what may stand there')
}

/** A version that is not to be read is a 404 that says what is known of it, as there. */
function versionAnswer({ facts, data }: ReadSecret, requestId: string): Answer {
  const metadata = factsDocument(facts)
  if (data) return jsonAnswer({ data: { data, metadata } })
  const problem = problemDocument(new Refusal('not_found', 'a version that is not to be read'), requestId)
  return {
    status: problem.status,
    headers: { 'content-type': 'application/problem+json', ...noStore },
    body: JSON.stringify({ ...problem, data: { data: null, metadata } }),
  }
}

function factsDocument(facts: VersionFacts): VersionFactsDocument {
  const { number, createdAt, deletedAt, destroyed, customMetadata } = facts
  return {
    version: number,
    created_time: createdAt.toISOString(),
    deletion_time: deletedAt?.toISOString() ?? '',
    destroyed,
    custom_metadata: customMetadataDocument(customMetadata),
  }
}

function metadataDocument(secret: Secret): SecretMetadataDocument {
  return {
    created_time: secret.createdAt.toISOString(),
    updated_time: secret.updatedAt.toISOString(),
    current_version: secret.current,
    oldest_version: secret.versions[0]?.number ?? 0,
    max_versions: secret.maxVersions,
    cas_required: secret.casRequired,
    custom_metadata: customMetadataDocument(secret.customMetadata),
    versions: Object.fromEntries(
      secret.versions.map((version) => [
        version.number,
        {
          created_time: version.createdAt.toISOString(),
          deletion_time: version.deletedAt?.toISOString() ?? '',
          destroyed: version.sealed === undefined,
        },
      ]),
    ),
  }
}

function customMetadataDocument(metadata: SecretSettings['customMetadata']) {
  return Object.keys(metadata).length === 0 ? null : metadata
}
