/**
 * Our own versioned secrets: what may be done with them, each act on record.
 *
 * A value leaves once the record of its reading is durable. A change is one write with its record, so that neither
 * stands without the other: a record ahead of the change would tell of writes that a crash or a faster writer undid, one
 * behind it might never be kept.
 *
 * @module
 */
import type { AdmitSecret, SecretAct } from './admit-secret.ts'
import { createSecretChanger, orRefuse, type SecretEdit } from './change-secret.ts'
import { Refusal } from './refusal.ts'
import {
  addVersion,
  checkCas,
  configureSecret,
  createSecret,
  deleteVersions,
  destroyVersions,
  findVersion,
  isReadable,
  type Secret,
  type SecretSettings,
  type SecretVersion,
  undeleteVersions,
} from './secret.ts'
import type { SecretChanges } from './secret-changes.ts'
import { parseSecretData, patchSecretData, type SecretData } from './secret-data.ts'
import type { SecretFolder, SecretPath } from './secret-path.ts'
import { createSecretShelf, type SecretKeys, type SecretShelfDeps } from './secret-shelf.ts'

export interface SecretKeeperDeps extends SecretShelfDeps {
  readonly changes: Pick<SecretChanges, 'tell'>
  readonly now: () => Date
}

/** What a version is, without what it holds. */
export type VersionFacts = Omit<SecretVersion, 'sealed'> & {
  readonly destroyed: boolean
  readonly customMetadata: SecretSettings['customMetadata']
}

/** A version that was read: `data` is absent where it is deleted or destroyed. */
export interface ReadSecret {
  readonly facts: VersionFacts
  readonly data?: SecretData
}

export interface SecretWrite {
  readonly path: SecretPath
  /** JSON; of a patch what is to change (RFC 7396). */
  readonly data: unknown
  /** Version that it follows; 0 where there is to be none. Default: whichever is current. */
  readonly cas?: number
}

export interface SecretVersions {
  readonly path: SecretPath
  readonly versions: readonly number[]
}

/** @throws {Refusal} from every method, on record: as the admission, and those named */
export interface SecretKeeper<Asker> {
  /** @param request.version Default: the current one. @throws {Refusal} `not_found` */
  readonly read: (
    asker: Asker,
    request: { readonly path: SecretPath; readonly version?: number },
  ) => Promise<ReadSecret>
  readonly list: (
    asker: Asker,
    request: { readonly folder: SecretFolder; readonly after?: string; readonly limit: number },
  ) => Promise<SecretKeys>
  /** All but the data. @throws {Refusal} `not_found` */
  readonly history: (asker: Asker, request: { readonly path: SecretPath }) => Promise<Secret>
  /** @throws {Refusal} `malformed_request`, `conflict` */
  readonly write: (asker: Asker, request: SecretWrite) => Promise<VersionFacts>
  /** @throws {Refusal} `not_found`, `malformed_request`, `conflict` */
  readonly patch: (asker: Asker, request: SecretWrite) => Promise<VersionFacts>
  /** Until they are undeleted; without versions the current one. @throws {Refusal} `not_found` */
  readonly delete: (
    asker: Asker,
    request: { readonly path: SecretPath; readonly versions?: readonly number[] },
  ) => Promise<void>
  /** @throws {Refusal} `not_found`, `conflict` */
  readonly undelete: (asker: Asker, request: SecretVersions) => Promise<void>
  /** For ever. @throws {Refusal} `not_found` */
  readonly destroy: (asker: Asker, request: SecretVersions) => Promise<void>
  /** Also before the first version. */
  readonly configure: (asker: Asker, request: { readonly path: SecretPath } & Partial<SecretSettings>) => Promise<void>
  /** All of a path, for ever. @throws {Refusal} `not_found` */
  readonly purge: (asker: Asker, request: { readonly path: SecretPath }) => Promise<void>
}

export function createSecretKeeper<Asker>(deps: SecretKeeperDeps, admit: AdmitSecret<Asker>): SecretKeeper<Asker> {
  const shelf = createSecretShelf(deps)
  const { now } = deps
  const change = createSecretChanger(shelf, deps.changes.tell)

  /** The current version's data before, and after what `dataOf` makes of it. */
  async function writeVersion(
    path: SecretPath,
    { secret, cas }: { readonly secret: Secret | undefined; readonly cas: number | undefined },
    dataOf: () => SecretData | Promise<SecretData>,
  ): Promise<SecretEdit<VersionFacts>> {
    checkCas(secret, cas)
    const before = secret ?? createSecret(now())
    const sealed = await shelf.seal(path, before.current + 1, await dataOf())
    const after = addVersion(before, sealed, now())
    return { secret: after, result: factsOf(after), details: { version: after.current } }
  }

  return {
    async read(asker, { path, version }) {
      const asked = version === undefined ? {} : { version }
      const admission = await admit(asker, { ...act('kv.read', 'read', path), details: asked })
      const { held, found } = await orRefuse(admission, async () => {
        const secret = existing((await shelf.read(path)).secret)
        return { held: secret, found: existing(findVersion(secret, version)) }
      })
      const facts = factsOf(held, found.number)
      const details = { version: found.number }
      if (!isReadable(found)) {
        const reason = facts.destroyed ? 'this version is destroyed' : 'this version is deleted'
        await admission.refuse(new Refusal('not_found', reason), details)
        return { facts }
      }
      const data = await shelf.open(path, found)
      await admission.keep(details)
      return { facts, data }
    },

    async list(asker, query) {
      const admission = await admit(asker, act('kv.list', 'read', query.folder))
      const found = await orRefuse(admission, async () => {
        const keys = await shelf.list(query)
        if (keys.keys.length === 0 && query.after === undefined) throw nothingThere()
        return keys
      })
      await admission.keep({})
      return found
    },

    async history(asker, { path }) {
      const admission = await admit(asker, act('kv.history', 'read', path))
      const secret = await orRefuse(admission, async () => existing((await shelf.read(path)).secret))
      await admission.keep({})
      return secret
    },

    async write(asker, { path, data, cas }) {
      const admission = await admit(asker, act('kv.write', 'write', path))
      return change(admission, path, (secret) => writeVersion(path, { secret, cas }, () => parseSecretData(data)))
    },

    async patch(asker, { path, data, cas }) {
      const admission = await admit(asker, act('kv.patch', 'write', path))
      return change(admission, path, (secret) => {
        const current = findVersion(secret)
        if (current === undefined || !isReadable(current)) throw nothingThere()
        return writeVersion(path, { secret, cas }, async () =>
          patchSecretData(await shelf.open(path, current), parseSecretData(data)),
        )
      })
    },

    async delete(asker, { path, versions }) {
      const details = versions && { versions }
      const admission = await admit(asker, { ...act('kv.delete', 'write', path), ...(details && { details }) })
      await change(admission, path, (secret) => {
        const before = existing(secret)
        const wanted = versions ?? [before.current]
        return { ...unanswered(deleteVersions(before, wanted, now())), details: { versions: wanted } }
      })
    },

    async undelete(asker, { path, versions }) {
      const admission = await admit(asker, { ...act('kv.undelete', 'write', path), details: { versions } })
      await change(admission, path, (secret) => unanswered(undeleteVersions(existing(secret), versions)))
    },

    async destroy(asker, { path, versions }) {
      const admission = await admit(asker, { ...act('kv.destroy', 'write', path), details: { versions } })
      await change(admission, path, (secret) => unanswered(destroyVersions(existing(secret), versions)))
    },

    async configure(asker, { path, ...settings }) {
      const details = { changed: Object.keys(settings).sort() }
      const admission = await admit(asker, { ...act('kv.configure', 'write', path), details })
      await change(admission, path, (secret) =>
        unanswered(configureSecret(secret ?? createSecret(now()), settings, now())),
      )
    },

    async purge(asker, { path }) {
      const admission = await admit(asker, act('kv.purge', 'write', path))
      await change(admission, path, (secret) => {
        existing(secret)
        return unanswered(undefined)
      })
    },
  }
}

function act(operation: string, needs: SecretAct['needs'], path: string): SecretAct {
  return { operation, needs, path }
}

/** A change that is answered with nothing. */
function unanswered(secret: Secret | undefined): SecretEdit<undefined> {
  return { secret, result: undefined, details: {} }
}

/** @throws {Refusal} `not_found` */
function existing<T>(found: T | undefined): T {
  if (found === undefined) throw nothingThere()
  return found
}

function nothingThere(): Refusal {
  return new Refusal('not_found', 'there is nothing at this path')
}

/** @param number Default: the current version. */
function factsOf(secret: Secret, number?: number): VersionFacts {
  const { sealed, ...facts } = existing(findVersion(secret, number))
  return { ...facts, destroyed: sealed === undefined, customMetadata: secret.customMetadata }
}
