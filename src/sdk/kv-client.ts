/**
 * Versioned secrets of the gateway, over the wire of KV v2.
 *
 * @see {@link https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 KV v2: API}
 * @module
 */
import { type Document, numberOf, objectOf, textsOf, timeOf } from './answer-fields.ts'
import { type Ask, type Call, longAnswerBytes, readObject } from './ask.ts'

/** What a version is, without what it holds. */
export interface SecretVersion {
  readonly version: number
  readonly createdAt: Date
  readonly deletedAt?: Date
  readonly destroyed: boolean
}

export interface Secret extends SecretVersion {
  readonly data: Readonly<Record<string, unknown>>
}

export interface SecretHistory {
  readonly currentVersion: number
  readonly maxVersions: number
  readonly casRequired: boolean
  readonly customMetadata: Readonly<Record<string, string>>
  /** Oldest first. */
  readonly versions: readonly SecretVersion[]
}

export interface SecretWriteOptions {
  /** Version that it follows; 0 where there is to be none. Else it is a `conflict`. Default: whichever is current. */
  readonly cas?: number
}

export interface SecretSettings {
  readonly customMetadata?: Readonly<Record<string, string>>
  readonly maxVersions?: number
  readonly casRequired?: boolean
}

export interface SecretPage {
  /** Below the folder; those that end in `/` are folders. */
  readonly keys: readonly string[]
  /** What the next page comes `after`; absent on the last. */
  readonly next?: string
}

/**
 * A change of which nobody knows whether it was made (the answer was lost) is not tried again.
 *
 * @throws {ApostilleError} from every method
 */
export interface KvClient {
  /** @throws {ApostilleError} `not_found` also for a version that was deleted or destroyed */
  readonly read: (path: string, options?: { readonly version?: number }) => Promise<Secret>
  /** @throws {ApostilleError} `conflict` */
  readonly write: (
    path: string,
    data: Readonly<Record<string, unknown>>,
    options?: SecretWriteOptions,
  ) => Promise<SecretVersion>
  /** A merge patch (RFC 7396) of the current version. @throws {ApostilleError} `conflict`, `not_found` */
  readonly patch: (
    path: string,
    patch: Readonly<Record<string, unknown>>,
    options?: SecretWriteOptions,
  ) => Promise<SecretVersion>
  /** Until they are undeleted; without versions the current one. */
  readonly delete: (path: string, versions?: readonly number[]) => Promise<void>
  readonly undelete: (path: string, versions: readonly number[]) => Promise<void>
  /** For ever. */
  readonly destroy: (path: string, versions: readonly number[]) => Promise<void>
  readonly history: (path: string) => Promise<SecretHistory>
  readonly configure: (path: string, settings: SecretSettings) => Promise<void>
  /** All of a path, for ever. */
  readonly purge: (path: string) => Promise<void>
  /** @param folder Without a slash at its end; empty for the topmost. */
  readonly list: (folder: string, page?: { readonly after?: string; readonly limit?: number }) => Promise<SecretPage>
}

export function createKvClient(ask: Ask, spiffeId: string | undefined): KvClient {
  const pathOf = (folder: string, path: string, query: Readonly<Record<string, string | number | undefined>> = {}) =>
    `/v1/kv/${folder}/${path.split('/').map(encodeURIComponent).join('/')}${queryOf({ ...query, spiffe_id: spiffeId })}`
  const askData = async (call: Call) => objectOf(readObject(await ask(call)), 'data')
  const change = async (call: Call) => void (await ask({ ...call, isRepeatable: false }))

  async function put(method: 'POST' | 'PATCH', path: string, data: Document, { cas }: SecretWriteOptions) {
    const body = { data, ...(cas !== undefined && { options: { cas } }) }
    return readVersion(await askData({ method, path: pathOf('data', path), body, isRepeatable: false }))
  }

  return {
    async read(path, { version } = {}) {
      const found = await askData({ path: pathOf('data', path, { version }) })
      return { ...readVersion(objectOf(found, 'metadata')), data: objectOf(found, 'data') }
    },
    write: (path, data, options = {}) => put('POST', path, data, options),
    patch: (path, patch, options = {}) => put('PATCH', path, patch, options),
    delete: (path, versions) =>
      versions === undefined
        ? change({ method: 'DELETE', path: pathOf('data', path) })
        : change({ path: pathOf('delete', path), body: { versions } }),
    undelete: (path, versions) => change({ path: pathOf('undelete', path), body: { versions } }),
    destroy: (path, versions) => change({ path: pathOf('destroy', path), body: { versions } }),
    history: async (path) => readHistory(await askData({ path: pathOf('metadata', path) })),
    configure: (path, settings) => change({ path: pathOf('metadata', path), body: settingsBody(settings) }),
    purge: (path) => change({ method: 'DELETE', path: pathOf('metadata', path) }),
    async list(folder, page = {}) {
      const path = pathOf('metadata', folder === '' ? '' : `${folder}/`, { list: 'true', ...page })
      const document = readObject(await ask({ path, maxAnswerBytes: longAnswerBytes }))
      const keys = textsOf(objectOf(document, 'data'), 'keys')
      const { next } = document
      return { keys, ...(typeof next === 'string' && { next }) }
    },
  }
}

function queryOf(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  )
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

function readVersion(document: Document, version = numberOf(document, 'version')): SecretVersion {
  const deleted = document['deletion_time']
  return {
    version,
    createdAt: timeOf(document, 'created_time'),
    ...(typeof deleted === 'string' && deleted !== '' && { deletedAt: timeOf(document, 'deletion_time') }),
    destroyed: document['destroyed'] === true,
  }
}

function readHistory(document: Document): SecretHistory {
  const versions = objectOf(document, 'versions')
  const metadata = document['custom_metadata'] === null ? {} : objectOf(document, 'custom_metadata')
  return {
    currentVersion: numberOf(document, 'current_version'),
    maxVersions: numberOf(document, 'max_versions'),
    casRequired: document['cas_required'] === true,
    customMetadata: Object.fromEntries(Object.keys(metadata).map((name) => [name, String(metadata[name])])),
    versions: Object.keys(versions).map((number) => readVersion(objectOf(versions, number), Number(number))),
  }
}

function settingsBody({ customMetadata, maxVersions, casRequired }: SecretSettings) {
  return { custom_metadata: customMetadata, max_versions: maxVersions, cas_required: casRequired }
}
