/**
 * What is in a folder that somebody else keeps, folder by folder.
 *
 * @module
 */
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  describePath,
  MountError,
  ofOneMoment,
  openMount,
  orAbsent,
  orMountError,
  readDataLink,
  resolveInside,
  stampOf,
} from './mounted-files.node.ts'

export interface MountedFolder {
  /** From the root, with slashes between; empty for the root itself. */
  readonly path: string
  /** Without links. */
  readonly real: string
  /** Directly in it, by name. */
  readonly files: readonly MountedFile[]
}

/** What is no folder: a file, or what only reading tells not to be one. */
export interface MountedFile {
  readonly name: string
  /** See {@link stampOf}; absent where a link leads out. */
  readonly stamp?: string
}

const maxDepth = 16

/**
 * A folder and all below it; those of one mount all from one moment. Names that begin with two dots are the mount's own.
 *
 * @param realRoot As `openMount` answers it.
 * @param path Nothing where there is no such folder.
 * @throws {MountError} where a folder can not be listed
 */
export async function* listMountedFolders(realRoot: string, path = ''): AsyncGenerator<MountedFolder> {
  yield* walk({ realRoot, path, above: [] })
}

interface Place {
  readonly realRoot: string
  readonly path: string
  /** Real paths of the folders on the way, so that no circle is walked. */
  readonly above: readonly string[]
}

async function* walk(place: Place): AsyncGenerator<MountedFolder> {
  const { realRoot, path, above } = place
  const real = await resolveInside(realRoot, path)
  // A root that is gone is no empty folder.
  if (real === undefined) return void (await openMount(realRoot))
  if (above.includes(real) || above.length >= maxDepth)
    throw new MountError(
      'escape',
      `${describePath(path)} leads around in a circle, or is deeper than ${maxDepth} folders`,
    )
  const isMount = (await readDataLink(real)) !== ''
  if (!isMount) yield* walkFolder(real, place)
  else yield* await ofOneMoment(realRoot, path, () => Array.fromAsync(walkFolder(real, place)))
}

async function* walkFolder(real: string, { realRoot, path, above }: Place): AsyncGenerator<MountedFolder> {
  // What was there a moment ago and is not any more was deleted.
  const entries = await orAbsent(() => orMountError(path, () => readdir(real, { withFileTypes: true })))
  if (entries === undefined) return
  const files: MountedFile[] = []
  const folders: string[] = []
  for (const entry of entries.filter(({ name }) => !name.startsWith('..')).sort(byName)) {
    const below = path === '' ? entry.name : `${path}/${entry.name}`
    if (await isFolder(entry, real)) folders.push(below)
    else files.push(...(await inspect(realRoot, below, entry.name)))
  }
  yield { path, real, files }
  for (const folder of folders) yield* walk({ realRoot, path: folder, above: [...above, real] })
}

function byName(a: Dirent, b: Dirent): number {
  return a.name < b.name ? -1 : 1
}

async function isFolder(entry: Dirent, folder: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  const found = await stat(join(folder, entry.name)).catch(() => undefined)
  return found?.isDirectory() ?? false
}

/** Nothing for what is gone. What may not be read is listed, as what is not listed counts as deleted. */
async function inspect(realRoot: string, path: string, name: string): Promise<readonly MountedFile[]> {
  try {
    const real = await resolveInside(realRoot, path)
    const found =
      real === undefined ? undefined : await orAbsent(() => orMountError(path, () => stat(real, { bigint: true })))
    return found === undefined ? [] : [{ name, stamp: stampOf(found) }]
  } catch (error) {
    if (error instanceof MountError) return [{ name }]
    throw error
  }
}
