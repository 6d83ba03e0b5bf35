/**
 * Source: files of a folder. Each file is a secret, its bytes as they are; or each folder is one, with its files as fields.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { DirectorySourceDocument } from '../../core/config-sources.ts'
import {
  type OpenedSource,
  type SecretSource,
  type SourceEntry,
  SourceError,
  type SourceErrorKind,
  type SourceQuery,
  type SourceSecret,
} from '../../core/secret-source.ts'
import type { Telemetry } from '../../core/telemetry.ts'
import { MountError, type MountErrorCode, ofOneMoment, openMount, readMountedFile } from './mounted-files.node.ts'
import { listMountedFolders, type MountedFolder } from './mounted-folders.node.ts'
import { watchFolders } from './watch-folders.node.ts'

export interface DirectorySourceDeps {
  readonly telemetry: Pick<Telemetry, 'log'>
  /** See `watchFolders`. */
  readonly settleMs?: number
}

export type OpenedDirectory = Pick<OpenedSource, 'name'> & { readonly document: DirectorySourceDocument }

/** What the files of a folder are to a sync. */
interface Layout {
  readonly entriesOf: (folder: MountedFolder) => readonly SourceEntry[]
  readonly read: (realRoot: string, path: string) => Promise<SourceSecret | undefined>
}

export function createDirectorySource(
  { name, document }: OpenedDirectory,
  { telemetry, settleMs }: DirectorySourceDeps,
): SecretSource {
  const { path: root, secrets, max_bytes: maxBytes } = document
  const layout = secrets === 'files' ? filesLayout(maxBytes) : foldersLayout(maxBytes)

  async function* list({ prefix, signal }: SourceQuery): AsyncGenerator<readonly SourceEntry[]> {
    const realRoot = await orSourceError(root, () => openMount(root))
    const start = prefix.slice(0, Math.max(0, prefix.lastIndexOf('/')))
    const folders = listMountedFolders(realRoot, start)
    for (;;) {
      const { value, done } = await orSourceError(root, () => folders.next())
      if (done === true) return
      if (signal.aborted)
        throw new SourceError('unreachable', `nobody waits for ${root} any longer`, { code: 'aborted' })
      const entries = layout.entriesOf(value).filter(({ path }) => path.startsWith(prefix))
      if (entries.length > 0) yield entries
    }
  }

  return {
    list,
    read: (path) => orSourceError(root, async () => layout.read(await openMount(root), path)),
    watch(onChange) {
      let known: ReadonlyMap<string, string | undefined> | undefined
      const lost = (error: unknown) =>
        telemetry.log('warning', 'changes of a folder are not seen before the next run', {
          source: name,
          error: error instanceof Error ? error.message : String(error),
        })
      const look = async () => {
        const { folders, revisions } = await survey(root, layout)
        if (known) for (const path of changedPaths(known, revisions)) onChange(path)
        known = revisions
        return folders
      }
      return watchFolders({ look, lost, ...(settleMs !== undefined && { settleMs }) })
    },
  }
}

async function survey(root: string, { entriesOf }: Layout) {
  const folders: string[] = []
  const revisions = new Map<string, string | undefined>()
  for await (const folder of listMountedFolders(await openMount(root))) {
    folders.push(folder.real)
    for (const { path, revision } of entriesOf(folder)) revisions.set(path, revision)
  }
  return { folders, revisions }
}

function changedPaths(
  before: ReadonlyMap<string, string | undefined>,
  after: ReadonlyMap<string, string | undefined>,
): readonly string[] {
  const paths = new Set([...before.keys(), ...after.keys()])
  return [...paths].filter((path) => !before.has(path) || !after.has(path) || before.get(path) !== after.get(path))
}

function filesLayout(maxBytes: number): Layout {
  return {
    entriesOf: ({ path, files }) =>
      files.map((file) => entryOf(join(path, file.name), file.stamp === undefined ? undefined : [file.stamp])),
    async read(realRoot, path) {
      const found = await readMountedFile(realRoot, path, maxBytes)
      if (found === undefined) return undefined
      return { ...entryOf(path, [found.stamp]), content: { kind: 'raw', bytes: found.bytes } }
    },
  }
}

function foldersLayout(maxBytes: number): Layout {
  return {
    entriesOf({ path, files }) {
      if (files.length === 0) return []
      if (path === '')
        throw refuse(`${files[0]?.name} is in no folder, and folders are secrets here: let path name the folder above`)
      const stamps = files.flatMap(({ name, stamp }) => (stamp === undefined ? [] : [name, stamp]))
      return [entryOf(path, stamps.length === 2 * files.length ? stamps : undefined)]
    },
    read: (realRoot, path) => ofOneMoment(realRoot, path, () => readFolder(realRoot, path, maxBytes)),
  }
}

async function readFolder(realRoot: string, path: string, maxBytes: number): Promise<SourceSecret | undefined> {
  const { value: folder } = await listMountedFolders(realRoot, path).next()
  const fields: [name: string, value: string][] = []
  const stamps: string[] = []
  for (const { name } of (folder as MountedFolder | undefined)?.files ?? []) {
    const found = await readMountedFile(realRoot, join(path, name), maxBytes)
    if (found === undefined) continue
    fields.push([name, decode(found.bytes, join(path, name))])
    stamps.push(name, found.stamp)
  }
  if (fields.length === 0) return undefined
  return { ...entryOf(path, stamps), content: { kind: 'fields', fields: Object.fromEntries(fields) } }
}

function join(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

/** @param stamps Absent where only reading tells. */
function entryOf(path: string, stamps: readonly string[] | undefined): SourceEntry {
  if (stamps === undefined) return { path }
  return { path, revision: createHash('sha256').update(JSON.stringify(stamps)).digest('hex').slice(0, 16) }
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    const message = `${path} is no text, which a field has to be: with secrets: files it stays as it is`
    throw new SourceError('unreadable', message, { code: 'not_text', cause })
  }
}

function refuse(message: string): SourceError {
  return new SourceError('refused', message, { code: 'layout' })
}

const kinds: Readonly<Record<MountErrorCode, SourceErrorKind>> = {
  absent: 'unreachable',
  unreadable: 'forbidden',
  escape: 'unreadable',
  writable: 'unreadable',
  too_large: 'unreadable',
  special: 'unreadable',
  restless: 'unreachable',
}

async function orSourceError<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof MountError)) throw error
    const { code, message, cause } = error
    throw new SourceError(kinds[code], `${root}: ${message}`, { code, cause })
  }
}
