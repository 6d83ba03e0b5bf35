/**
 * Secrets in an Azure Key Vault.
 *
 * Needs the data actions `Microsoft.KeyVault/vaults/secrets/` readMetadata, setSecret and update, `delete` where deletions
 * are synced, and `recover` where they are taken back. No value is ever read.
 *
 * There is no conditional write: what somebody else writes between our look and our write stays as an earlier version.
 *
 * @see {@link https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview Soft delete}
 * @module
 */
import type { AzureDestinationDocument } from '../../core/config-destinations.ts'
import { quote } from '../../core/quote.ts'
import {
  DestinationError,
  type DestinationTurn,
  type HeldSecret,
  holdsSame,
  ownershipOf,
  type Pushed,
  type PushOutcome,
  type Removed,
  type SecretDestination,
  type SecretPush,
} from '../../core/secret-destination.ts'
import { textOf } from '../exchangers/cloud-refusal.ts'
import type { DestinationDeps, OpenedAs } from './index.ts'
import { createVaultLine, type Members, type VaultLine } from './key-vault-line.ts'
import { carriedTags, idOf, readListed, readSecret, readVersion, type VaultSecret } from './key-vault-versions.ts'
import { followPages } from './pages.ts'
import {
  requireFitting,
  requireMayRemove,
  requireMayWrite,
  requireTagsFit,
  spellingsOf,
  type Tags,
  tagsOf,
} from './push-check.ts'
import { createStoreLine } from './store-line.ts'
import { buildMalformed, isNo } from './store-refusal.ts'

/** The most that Key Vault gives. */
const pageSize = 25

export function createAzureKeyVault(
  destination: OpenedAs<AzureDestinationDocument>,
  { connect, now, pause }: DestinationDeps,
): SecretDestination {
  const { document } = destination
  const url = document.endpoint ?? document.vault_url
  const store = createStoreLine(destination, connect, url)
  const line = createVaultLine(url, store, now)

  async function* list(turn: DestinationTurn): AsyncGenerator<readonly HeldSecret[]> {
    for await (const items of pagesOf(line, 'secrets', turn)) yield items.map(readListed)
  }

  async function find(name: string, turn: DestinationTurn): Promise<HeldSecret | undefined> {
    return (await look(line, name, turn))?.held
  }

  async function write(push: SecretPush, turn: DestinationTurn): Promise<Pushed> {
    requireFitting(document.type, push)
    const writing: Writing = { line, document, push, turn, pause }
    const there = await look(line, push.name, turn)
    if (there !== undefined) return change(there, writing)
    try {
      return { outcome: 'created', ...(await set(undefined, writing)) }
    } catch (error) {
      if (!isNo(error, 'ObjectIsDeletedButRecoverable')) throw error
      return change(await recover(writing), writing, 'recovered')
    }
  }

  async function remove(name: string, owner: string, turn: DestinationTurn): Promise<Removed> {
    const there = await look(line, name, turn)
    if (there === undefined) return { outcome: 'absent' }
    requireMayRemove(there.held, owner)
    try {
      const { members, requestId } = await line.ask({ method: 'DELETE', path: pathOf(name) }, turn)
      const purge = members['scheduledPurgeDate']
      return {
        outcome: 'removed',
        id: secretIdOf(there),
        ...(typeof purge === 'number' && { recoverableUntil: new Date(purge * 1000) }),
        ...(requestId !== undefined && { requestId }),
      }
    } catch (error) {
      if (isNo(error, 'SecretNotFound')) return { outcome: 'absent' }
      throw error
    }
  }

  return { list, find, write, remove, close: store.close }
}

interface Writing {
  readonly line: VaultLine
  readonly document: AzureDestinationDocument
  readonly push: SecretPush
  readonly turn: DestinationTurn
  readonly pause: DestinationDeps['pause']
}

const pathOf = (name: string) => `secrets/${encodeURIComponent(name)}`

/** Of the secret, which the id of a version goes on from. */
const secretIdOf = ({ current: { id } }: VaultSecret) => id.replace(/(\/secrets\/[^/]+)\/.*$/, '$1')

const pagesOf = (line: VaultLine, path: string, turn: DestinationTurn) =>
  followPages(async (token) => {
    const query = { maxresults: String(pageSize), ...(token !== undefined && { $skiptoken: token }) }
    const { members } = await line.ask({ path, query }, turn)
    const { value, nextLink } = members
    if (!Array.isArray(value)) throw buildMalformed('it answered a page without a list')
    return { items: value.flatMap((item) => readVersion(item) ?? []), next: readToken(nextLink) }
  })

/** Of the link to the next page nothing but its place in the list is followed. */
function readToken(link: unknown): string | undefined {
  const url = textOf(link)
  if (url === undefined) return undefined
  const token = URL.parse(url)?.searchParams.get('$skiptoken') ?? undefined
  if (token === undefined) throw buildMalformed('it answered a page whose next can not be told')
  return token
}

async function look(line: VaultLine, name: string, turn: DestinationTurn): Promise<VaultSecret | undefined> {
  const versions = []
  try {
    for await (const page of pagesOf(line, `${pathOf(name)}/versions`, turn)) versions.push(...page)
  } catch (error) {
    if (!isNo(error, 'SecretNotFound')) throw error
  }
  return readSecret(versions)
}

type Set = Pick<Pushed, 'id' | 'version' | 'requestId'>

/** A new version, and the secret where there is none. */
async function set(there: VaultSecret | undefined, { line, document, push, turn }: Writing): Promise<Set> {
  const tags = allTags(there, (there?.count ?? 0) + 1, document, push)
  const { members, requestId } = await line.ask(
    {
      method: 'PUT',
      path: pathOf(push.name),
      body: { value: push.value, tags, ...contentOf(document) },
      secrets: spellingsOf(push.value),
    },
    turn,
  )
  return setOf(members, requestId)
}

function setOf(members: Members, requestId: string | undefined): Set {
  const [, id, version] = /^(.*\/secrets\/[^/]+)\/([^/]+)$/.exec(idOf(members)) ?? []
  if (id === undefined || version === undefined) throw buildMalformed('it answered no id of a version')
  return { id, version, ...(requestId !== undefined && { requestId }) }
}

function contentOf({ content_type: contentType }: AzureDestinationDocument) {
  return contentType === undefined ? {} : { contentType }
}

/** Those of others, of the destination and the sync, and the stamp. */
function allTags(there: VaultSecret | undefined, count: number, document: AzureDestinationDocument, push: SecretPush) {
  const tags = { ...(there && carriedTags(there.current)), ...tagsOf(document.tags, push, String(count)) }
  requireTagsFit(document.type, push.name, tags)
  return tags
}

async function change(there: VaultSecret, writing: Writing, done?: PushOutcome): Promise<Pushed> {
  const { push } = writing
  requireMayWrite(there.held, push)
  if (holdsSame(there.held, push)) return mark(there, writing, done)
  const adopted = ownershipOf(there.held.stamp, push.stamp.owner) === 'free'
  return { outcome: done ?? (adopted ? 'adopted' : 'updated'), ...(await set(there, writing)) }
}

/** The value is right: tags and content type can be changed without a version. */
async function mark(there: VaultSecret, { line, document, push, turn }: Writing, done?: PushOutcome): Promise<Pushed> {
  const { current, count } = there
  const tags = allTags(there, count, document, push)
  const id = secretIdOf(there)
  const { version } = current
  const isRight =
    isSameTags(tags, current.tags) && (document.content_type ?? current.contentType) === current.contentType
  if (isRight) return { outcome: done ?? 'unchanged', id, version }
  const path = `${pathOf(push.name)}/${version}`
  const { requestId } = await line.ask({ method: 'PATCH', path, body: { tags, ...contentOf(document) } }, turn)
  return { outcome: done ?? 'marked', id, version, ...(requestId !== undefined && { requestId }) }
}

function isSameTags(a: Tags, b: Tags): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}

/** Taking back takes some seconds; longer ones are left to the next attempt. */
const pausesMs = [500, 1000, 2000, 4000, 4000, 4000, 4000]

/** Whose it is stands on the deleted one too. */
async function recover(writing: Writing): Promise<VaultSecret> {
  const { line, document, push, turn } = writing
  const path = `deletedsecrets/${encodeURIComponent(push.name)}`
  const deleted = readVersion((await askDeleted(line, path, turn)).members)
  const ownership = ownershipOf(deleted?.stamp, push.stamp.owner)
  const what = `a deleted secret has the name ${quote(push.name)}`
  if (ownership === 'foreign' || (ownership === 'free' && !push.adopts)) {
    throw blocked(`${what} and is not ours`, 'recover it and set `conflict: adopt`, or purge it')
  }
  if (!document.recover) throw blocked(what, 'recover or purge it, or set `recover: true`')
  await line.ask({ method: 'POST', path: `${path}/recover` }, turn)
  for (const ms of pausesMs) {
    const there = await look(line, push.name, turn)
    if (there !== undefined) return there
    await waitOn(ms, writing)
  }
  throw recovering(push)
}

/** Where the time of this attempt is over before, the next one finds it taken back. */
async function waitOn(ms: number, { pause, push, turn }: Writing): Promise<void> {
  try {
    await pause(ms, turn.signal)
  } catch (error) {
    throw turn.signal.aborted ? recovering(push) : error
  }
}

function recovering({ name }: SecretPush): DestinationError {
  return busy(`${quote(name)} is being recovered still`)
}

/** It is not among the deleted ones until the deletion is done. */
async function askDeleted(line: VaultLine, path: string, turn: DestinationTurn) {
  try {
    return await line.ask({ path }, turn)
  } catch (error) {
    if (isNo(error, 'SecretNotFound')) throw busy('it is being deleted or purged right now')
    throw error
  }
}

function blocked(what: string, fix: string): DestinationError {
  return new DestinationError('blocked_deleted', `${what}; ${fix}`, { code: 'ObjectIsDeletedButRecoverable', fix })
}

function busy(message: string): DestinationError {
  return new DestinationError('busy', message, { code: 'ObjectIsBeingRecovered', retryAfterSeconds: 5 })
}
