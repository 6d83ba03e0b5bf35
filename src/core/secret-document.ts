/**
 * A secret as the store holds it: one document, of which nothing but its name can be read there.
 *
 * The versions are sealed one by one, each with its path and number, and what is known of them apart; so whoever can
 * write to the store can not hand out one as another, nor take back that it was deleted.
 *
 * @module
 */
import { type KeyManager, SealError } from './key-manager.ts'
import { Refusal } from './refusal.ts'
import type { Resealer } from './reseal.ts'
import type { Secret, SecretVersion } from './secret.ts'
import type { SecretPath } from './secret-path.ts'

/** Of every document that holds a secret. */
export const secretPrefix = 'kv/'

/** So that a document fits a row of every store. */
const maxDocumentLength = 1024 * 1024

/** Plain JSON. */
interface SecretDocument {
  /** {@link MetadataDocument}, sealed. */
  readonly metadata: string
  /** By number of the version. */
  readonly data: Readonly<Record<string, string>>
}

interface MetadataDocument {
  readonly created_at: string
  readonly updated_at: string
  readonly current: number
  readonly max_versions: number
  readonly cas_required: boolean
  readonly custom_metadata: Readonly<Record<string, string>>
  readonly versions: readonly VersionDocument[]
}

interface VersionDocument {
  readonly number: number
  readonly created_at: string
  readonly deleted_at?: string
  readonly destroyed?: true
}

/** What the data of a version is sealed as. */
export function versionName(path: SecretPath, number: number): string {
  return `${secretPrefix}${path}#${number}`
}

/** @throws {Refusal} `conflict` when all versions together are too large */
export async function formatSecret(
  path: SecretPath,
  secret: Secret,
  keys: Pick<KeyManager, 'sealBytes'>,
): Promise<string> {
  const metadata = new TextEncoder().encode(JSON.stringify(metadataOf(secret)))
  const data = secret.versions.flatMap(({ number, sealed }) => (sealed === undefined ? [] : [[number, sealed]]))
  const document: SecretDocument = {
    metadata: await keys.sealBytes(secretPrefix + path, metadata),
    data: Object.fromEntries(data),
  }
  const body = JSON.stringify(document)
  if (body.length <= maxDocumentLength) return body
  const detail = 'data: the versions of this secret are too large together: destroy old ones, or lower max_versions'
  throw new Refusal('conflict', detail, { detail })
}

function metadataOf(secret: Secret): MetadataDocument {
  return {
    created_at: secret.createdAt.toISOString(),
    updated_at: secret.updatedAt.toISOString(),
    current: secret.current,
    max_versions: secret.maxVersions,
    cas_required: secret.casRequired,
    custom_metadata: secret.customMetadata,
    versions: secret.versions.map(({ number, createdAt, deletedAt, sealed }) => ({
      number,
      created_at: createdAt.toISOString(),
      ...(deletedAt && { deleted_at: deletedAt.toISOString() }),
      ...(sealed === undefined && { destroyed: true }),
    })),
  }
}

/** @throws {SealError} when it is not as it was written */
export async function readSecret(path: SecretPath, body: string, keys: Pick<KeyManager, 'openBytes'>): Promise<Secret> {
  const { metadata, data } = parseDocument(path, body)
  const opened = new TextDecoder().decode(await keys.openBytes(secretPrefix + path, metadata))
  const { created_at, updated_at, current, max_versions, cas_required, custom_metadata, versions } = JSON.parse(
    opened,
  ) as MetadataDocument
  return {
    createdAt: new Date(created_at),
    updatedAt: new Date(updated_at),
    current,
    maxVersions: max_versions,
    casRequired: cas_required,
    customMetadata: custom_metadata,
    versions: versions.map((version) => readVersion(path, version, data[version.number])),
  }
}

/** What is destroyed stays so, whatever is put back. */
function readVersion(path: SecretPath, document: VersionDocument, sealed: string | undefined): SecretVersion {
  const { number, created_at, deleted_at, destroyed } = document
  if (sealed === undefined && !destroyed) throw changed(path)
  return {
    number,
    createdAt: new Date(created_at),
    ...(deleted_at !== undefined && { deletedAt: new Date(deleted_at) }),
    ...(sealed !== undefined && !destroyed && { sealed }),
  }
}

function parseDocument(path: SecretPath, body: string): SecretDocument {
  try {
    const { metadata, data } = JSON.parse(body) as SecretDocument
    if (typeof metadata === 'string' && typeof data === 'object') return { metadata, data }
  } catch {
    // What is no JSON is answered as what is no document; the cause might quote it.
  }
  throw changed(path)
}

function changed(path: SecretPath): SealError {
  return new SealError(`"${secretPrefix}${path}" is not as it was written: restore the store from a backup`)
}

/** The document of that name under the present seal key; undefined where all of it is. */
export function resealSecret(name: string, body: string, keys: Resealer): string | undefined {
  const path = name.slice(secretPrefix.length) as SecretPath
  const { metadata, data } = parseDocument(path, body)
  const next = {
    metadata: keys.reseal(name, 'bytes', metadata),
    data: Object.entries(data).map(
      ([number, sealed]) =>
        [number, keys.reseal(versionName(path, Number(number)), 'bytes', sealed) ?? sealed] as const,
    ),
  }
  const isSame = next.metadata === undefined && next.data.every(([number, sealed]) => data[number] === sealed)
  if (isSame) return undefined
  const document: SecretDocument = { metadata: next.metadata ?? metadata, data: Object.fromEntries(next.data) }
  return JSON.stringify(document)
}
