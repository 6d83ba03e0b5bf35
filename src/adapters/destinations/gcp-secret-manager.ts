/**
 * Secrets in Google Secret Manager.
 *
 * Needs secretmanager.secrets.list, get, create and update, secretmanager.versions.list and add,
 * secretmanager.secrets.delete where deletions are synced, and secretmanager.versions.destroy for `destroy_old_versions`.
 * No value is ever read. What is removed is gone for good: Secret Manager keeps nothing.
 *
 * Every change of a secret names the etag that it goes from, so that of two writers one gives way.
 *
 * @see {@link https://cloud.google.com/secret-manager/docs/etags Etags}
 * @module
 */
import { Buffer } from 'node:buffer'
import type { GcpDestinationDocument } from '../../core/config-destinations.ts'
import {
  type DestinationTurn,
  type HeldSecret,
  holdsSame,
  ownershipOf,
  type Pushed,
  type Removed,
  type SecretDestination,
  type SecretPush,
} from '../../core/secret-destination.ts'
import { textOf } from '../exchangers/cloud-refusal.ts'
import { computeCrc32c } from './crc32c.ts'
import type { DestinationDeps, OpenedAs } from './index.ts'
import { followPages } from './pages.ts'
import { requireFitting, requireMayRemove, requireMayWrite, spellingsOf, type Tags, tagsOf } from './push-check.ts'
import { createGoogleLine, type GoogleLine, type Members } from './secret-manager-line.ts'
import {
  formatComing,
  type GoogleSecret,
  type GoogleVersion,
  readHeld,
  readListed,
  readSecret,
  readStamped,
  readVersion,
  readVersions,
} from './secret-manager-versions.ts'
import { createStoreLine } from './store-line.ts'
import { buildMalformed, isNo } from './store-refusal.ts'

/** A secret may have 24 kB of labels and annotations. */
const pageSize = 250

export function createGcpSecretManager(
  destination: OpenedAs<GcpDestinationDocument>,
  { connect, now }: DestinationDeps,
): SecretDestination {
  const { document } = destination
  const url = document.endpoint ?? endpointOf(document)
  const store = createStoreLine(destination, connect, url)
  const line = createGoogleLine(url, store, now)
  const parent = parentOf(document)

  const list = (turn: DestinationTurn) =>
    followPages<readonly HeldSecret[]>(async (token) => {
      const query = { pageSize: String(pageSize), ...(token !== undefined && { pageToken: token }) }
      const { secrets, nextPageToken } = await line.ask({ path: `${parent}/secrets`, query }, turn)
      const listed: readonly unknown[] = Array.isArray(secrets) ? secrets : []
      return { items: listed.flatMap((item) => readSecret(item) ?? []).map(readListed), next: textOf(nextPageToken) }
    })

  async function find(name: string, turn: DestinationTurn): Promise<HeldSecret | undefined> {
    const there = await look({ line, parent, turn }, name)
    return there && readHeld(there.secret, there.versions[0])
  }

  async function write(push: SecretPush, turn: DestinationTurn): Promise<Pushed> {
    requireFitting(document.type, push)
    const writing: Writing = { line, parent, document, push, turn }
    const there = await look(writing, push.name)
    if (there !== undefined) return change(there, writing)
    try {
      return await create(writing)
    } catch (error) {
      const meanwhile = isNo(error, 'ALREADY_EXISTS') ? await look(writing, push.name) : undefined
      if (meanwhile === undefined) throw error
      return change(meanwhile, writing)
    }
  }

  async function remove(name: string, owner: string, turn: DestinationTurn): Promise<Removed> {
    const secret = await get({ line, parent, turn }, name)
    if (secret === undefined) return { outcome: 'absent' }
    requireMayRemove(readListed(secret), owner)
    try {
      const query = { etag: secret.etag }
      await line.ask({ method: 'DELETE', path: `${parent}/secrets/${encodeURIComponent(name)}`, query }, turn)
    } catch (error) {
      if (!isNo(error, 'NOT_FOUND')) throw error
      return { outcome: 'absent', id: secret.resource }
    }
    return { outcome: 'removed', id: secret.resource }
  }

  return { list, find, write, remove, close: store.close }
}

function endpointOf({ location }: GcpDestinationDocument): string {
  return `https://secretmanager.${location === undefined ? '' : `${location}.rep.`}googleapis.com`
}

function parentOf({ project, location }: GcpDestinationDocument): string {
  return `projects/${project}${location === undefined ? '' : `/locations/${location}`}`
}

interface Place {
  readonly line: GoogleLine
  readonly parent: string
  readonly turn: DestinationTurn
}

interface Writing extends Place {
  readonly document: GcpDestinationDocument
  readonly push: SecretPush
}

interface There {
  readonly secret: GoogleSecret
  /** Newest first; the last ones. */
  readonly versions: readonly GoogleVersion[]
}

const pathOf = ({ parent }: Place, name: string) => `${parent}/secrets/${encodeURIComponent(name)}`

async function get(place: Place, name: string): Promise<GoogleSecret | undefined> {
  try {
    return read(await place.line.ask({ path: pathOf(place, name) }, place.turn))
  } catch (error) {
    if (isNo(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

function read(members: Members): GoogleSecret {
  const secret = readSecret(members)
  if (secret === undefined) throw buildMalformed('it answered no secret')
  return secret
}

async function look(place: Place, name: string): Promise<There | undefined> {
  const secret = await get(place, name)
  if (secret === undefined) return undefined
  const query = { pageSize: '20' }
  const answer = await place.line.ask({ path: `${pathOf(place, name)}/versions`, query }, place.turn)
  return { secret, versions: readVersions(answer) }
}

async function create(writing: Writing): Promise<Pushed> {
  const { line, parent, document, push, turn } = writing
  const body = {
    ...settingsOf(document),
    labels: document.labels,
    annotations: tagsOf(document.annotations, push, formatComing(0, 1)),
  }
  const query = { secretId: push.name }
  const secret = read(await line.ask({ method: 'POST', path: `${parent}/secrets`, query, body }, turn))
  const version = await add(writing)
  await setAnnotations(secret, version, writing)
  return { outcome: 'created', id: secret.resource, version: String(version) }
}

/** What can not be changed later, or only for versions to come. */
function settingsOf({ location, replication = 'automatic', kms_key: keys }: GcpDestinationDocument): Members {
  const encryptionFor = (place: string) => {
    const key = typeof keys === 'object' ? keys[place] : keys
    return key === undefined ? {} : { customerManagedEncryption: { kmsKeyName: key } }
  }
  if (location !== undefined) return encryptionFor(location)
  if (replication === 'automatic') return { replication: { automatic: encryptionFor('global') } }
  const replicas = replication.locations.map((place) => ({ location: place, ...encryptionFor(place) }))
  return { replication: { userManaged: { replicas } } }
}

/** @returns the number of the version */
async function add(writing: Writing): Promise<number> {
  const { line, push, turn } = writing
  const bytes = Buffer.from(push.value as string)
  const payload = { data: bytes.toString('base64'), dataCrc32c: String(computeCrc32c(bytes)) }
  const secrets = spellingsOf(push.value)
  const path = `${pathOf(writing, push.name)}:addVersion`
  const version = readVersion(await line.ask({ method: 'POST', path, body: { payload }, secrets }, turn))
  if (version === undefined) throw buildMalformed('it answered no version')
  return version.number
}

async function change(there: There, writing: Writing): Promise<Pushed> {
  const { push } = writing
  const { secret, versions } = there
  const [latest] = versions
  const held = readHeld(secret, latest)
  requireMayWrite(held, push)
  const id = secret.resource
  if (latest && (holdsSame(held, push) || isThisWrite(there, push))) {
    const version = String(latest.number)
    const before = readStamped(secret.stamp)
    if (before?.isComing) await destroy(before.before, there, writing)
    const isMarked = await setAnnotations(secret, latest.number, writing)
    return { outcome: isMarked ? 'marked' : 'unchanged', id, version }
  }
  const adopted = ownershipOf(held.stamp, push.stamp.owner) === 'free'
  const version = await replace(there, writing, adopted)
  return { outcome: adopted ? 'adopted' : 'updated', id, version: String(version) }
}

/** Whether the latest version is the one that this very write added, whose answer was lost. */
function isThisWrite({ secret: { stamp }, versions: [latest] }: There, { stamp: wanted }: SecretPush): boolean {
  const coming = readStamped(stamp)
  if (coming?.isComing !== true || stamp?.owner !== wanted.owner) return false
  return stamp.fingerprint === wanted.fingerprint && latest?.number === coming.number && latest.isEnabled
}

async function replace(there: There, writing: Writing, adopted: boolean): Promise<number> {
  const { secret, versions } = there
  const last = versions[0]?.number ?? 0
  const before = adopted ? 0 : (readStamped(secret.stamp)?.before ?? 0)
  const claimed = await patch(secret, formatComing(before, last + 1), writing)
  const version = await add(writing)
  await destroy(before, there, writing)
  await setAnnotations(claimed, version, writing)
  return version
}

/** The version of ours that was replaced; those of others are theirs. */
async function destroy(number: number, { versions }: There, writing: Writing): Promise<void> {
  const { line, document, push, turn } = writing
  const isThere = versions.some((version) => version.number === number && version.isEnabled)
  if (!document.destroy_old_versions || !isThere) return
  const path = `${pathOf(writing, push.name)}/versions/${number}:destroy`
  await line.ask({ method: 'POST', path, body: {} }, turn)
}

/** @returns whether it was not so already */
async function setAnnotations(secret: GoogleSecret, version: number, writing: Writing): Promise<boolean> {
  const { document, push } = writing
  const wanted = tagsOf(document.annotations, push, String(version))
  const isRight = holdsAll(secret.annotations, wanted) && holdsAll(secret.labels, document.labels)
  if (isRight && !hasOtherKey(secret, document)) return false
  await patch(secret, String(version), writing)
  return true
}

function holdsAll(there: Tags, wanted: Tags): boolean {
  return Object.entries(wanted).every(([name, text]) => there[name] === text)
}

/** Only the key of a regional secret can be changed as such. */
function hasOtherKey({ kmsKey }: GoogleSecret, { location, kms_key: key }: GcpDestinationDocument): boolean {
  return location !== undefined && typeof key === 'string' && key !== kmsKey
}

/** Labels and annotations of others stay. */
async function patch(secret: GoogleSecret, version: string, writing: Writing): Promise<GoogleSecret> {
  const { line, document, push, turn } = writing
  const key = hasOtherKey(secret, document) ? settingsOf(document) : {}
  const body = {
    labels: { ...secret.labels, ...document.labels },
    annotations: { ...secret.annotations, ...tagsOf(document.annotations, push, version) },
    ...key,
    etag: secret.etag,
  }
  const updateMask = ['labels', 'annotations', ...Object.keys(key)].join(',')
  const path = pathOf(writing, push.name)
  return read(await line.ask({ method: 'PATCH', path, query: { updateMask }, body }, turn))
}
