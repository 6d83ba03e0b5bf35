/**
 * Files of a folder that somebody else keeps: Kubernetes mounts, Docker secrets, drivers of the CSI, a checkout.
 *
 * Kubernetes replaces a whole mount at once by pointing the link `..data` at another folder, and removes the former one.
 * Whatever is read while that happens may be half of each, so it is read again when the link has moved. Names that begin
 * with two dots are the mount's own.
 *
 * Whoever writes into the folder must not choose what else of this machine is read: links count only as far as they lead to
 * something inside the folder.
 *
 * @see {@link https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go AtomicWriter}
 * @module
 */
import type { BigIntStats } from 'node:fs'
import { constants, type FileHandle, open, readdir, readlink, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'

/** A regular file, as it was found. */
export interface MountedFile {
  /** From the root, with slashes between. */
  readonly path: string
  /** Changes whenever the file does; holds nothing of its content. */
  readonly stamp: string
}

export type MountErrorCode =
  /** There is no such folder, or none any more. */
  | 'absent'
  /** We may not read it. */
  | 'unreadable'
  /** A link that leads out of the root, or around in a circle. */
  | 'escape'
  /** Others may write to it, so that anybody could choose what it says. */
  | 'writable'
  | 'too_large'
  /** Neither a file nor a folder. */
  | 'special'
  /** It was replaced again and again while it was read. */
  | 'restless'

/** What keeps a file or folder from being read. The message names the path below the root. */
export class MountError extends Error {
  override readonly name = 'MountError'
  readonly code: MountErrorCode
  /** From the root; empty for the root itself. */
  readonly path: string

  constructor(code: MountErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.path = path
  }
}

const dataLink = '..data'
const maxDepth = 16
const maxTries = 5
/** Anybody: `o+w`. */
const writableByOthers = 0o002n

/** The root with all links resolved. @throws {MountError} `absent`, `unreadable` */
export async function openMount(root: string): Promise<string> {
  return orMountError('', () => realpath(root))
}

/**
 * The files below a folder of the root, in the order of their bytes; those of one mount all from one moment.
 *
 * @param realRoot As {@link openMount} answers it.
 * @throws {MountError}
 */
export async function* listMountedFiles(realRoot: string, folder = ''): AsyncGenerator<MountedFile> {
  yield* walk({ realRoot, path: folder, above: [] })
}

interface Place {
  readonly realRoot: string
  /** From the root. */
  readonly path: string
  /** Real paths of the folders on the way, so that no circle is walked. */
  readonly above: readonly string[]
}

async function* walk(place: Place): AsyncGenerator<MountedFile> {
  const { realRoot, path, above } = place
  const real = await resolveInside(realRoot, path)
  if (real === undefined && path !== '') return
  if (real === undefined) throw new MountError('absent', path, 'the folder is not there')
  if (above.includes(real) || above.length > maxDepth)
    throw new MountError('escape', path, `${describe(path)} leads around in a circle, or is deeper than ${maxDepth}`)
  const inside = { ...place, above: [...above, real] }
  const isMount = (await readGeneration(real)) !== undefined
  if (!isMount) yield* walkFolder(real, inside)
  else yield* await ofOneGeneration(real, path, () => collect(walkFolder(real, inside)))
}

async function* walkFolder(real: string, { realRoot, path, above }: Place): AsyncGenerator<MountedFile> {
  for (const name of await namesIn(real, path)) {
    const below = path === '' ? name.text : `${path}/${name.text}`
    if (name.isFolder) yield* walk({ realRoot, path: below, above })
    else {
      const found = await inspect(realRoot, below)
      if (found) yield found
    }
  }
}

interface Name {
  readonly text: string
  readonly isFolder: boolean
}

/** In the order that their paths have: a folder counts with the slash at its end. */
async function namesIn(real: string, path: string): Promise<readonly Name[]> {
  const entries = await orMountError(path, () => readdir(real, { withFileTypes: true }))
  const names: Name[] = []
  for (const entry of entries) {
    if (entry.name.startsWith('..')) continue
    const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && (await leadsToFolder(join(real, entry.name))))
    names.push({ text: entry.name, isFolder })
  }
  const key = ({ text, isFolder }: Name) => Buffer.from(isFolder ? `${text}/` : text)
  return names.sort((a, b) => Buffer.compare(key(a), key(b)))
}

async function leadsToFolder(path: string): Promise<boolean> {
  return (await orAbsent(() => stat(path)))?.isDirectory() ?? false
}

/** Undefined for what is gone. */
async function inspect(realRoot: string, path: string): Promise<MountedFile | undefined> {
  const real = await resolveInside(realRoot, path)
  const found = real === undefined ? undefined : await orAbsent(() => stat(real, { bigint: true }))
  if (found === undefined) return undefined
  return { path, stamp: stampOf(found) }
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
}

/**
 * A file's bytes and stamp; undefined for one that is gone.
 *
 * @throws {MountError}
 */
export async function readMountedFile(realRoot: string, path: string, maxBytes: number): Promise<ReadFile | undefined> {
  for (let tries = 0; tries < maxTries; tries++) {
    const real = await resolveInside(realRoot, path)
    const file = real === undefined ? undefined : await orAbsent(() => orMountError(path, () => open(real, openFlags)))
    if (file === undefined) return undefined
    await using opened = file
    // Folders on the way may have been replaced by links between the two: then the way leads elsewhere now.
    if ((await resolveInside(realRoot, path)) === real) return await readOpened(opened, path, maxBytes)
  }
  throw restless(path)
}

export interface ReadFile extends MountedFile {
  readonly bytes: Uint8Array
}

/** A pipe without a writer would be waited for, and a link that was put there since is not followed. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

async function readOpened(file: FileHandle, path: string, maxBytes: number): Promise<ReadFile> {
  const found = await file.stat({ bigint: true })
  if (!found.isFile()) throw new MountError('special', path, `${describe(path)} is neither a file nor a folder`)
  if ((found.mode & writableByOthers) !== 0n)
    throw new MountError('writable', path, `anybody may write to ${describe(path)}`)
  const { bytesRead, buffer } = await file.read(new Uint8Array(maxBytes + 1), 0, maxBytes + 1, 0)
  if (bytesRead > maxBytes) throw new MountError('too_large', path, `${describe(path)} has more than ${maxBytes} bytes`)
  return { path, stamp: stampOf(found), bytes: buffer.subarray(0, bytesRead) }
}

/**
 * Runs what reads a folder until no link has moved meanwhile.
 *
 * @param real The folder that may have a link `..data`; without one a run is enough.
 * @throws {MountError} `restless`
 */
export async function ofOneGeneration<T>(real: string, path: string, read: () => Promise<T>): Promise<T> {
  for (let tries = 0; tries < maxTries; tries++) {
    const before = await readGeneration(real)
    const outcome = await settle(read)
    if ((await readGeneration(real)) !== before) continue
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }
  throw restless(path)
}

function restless(path: string): MountError {
  return new MountError('restless', path, `${describe(path)} was replaced ${maxTries} times while it was read`)
}

async function settle<T>(read: () => Promise<T>): Promise<{ readonly value: T } | { readonly error: unknown }> {
  try {
    return { value: await read() }
  } catch (error) {
    return { error }
  }
}

/** Where `..data` leads; undefined where there is none. */
async function readGeneration(real: string): Promise<string | undefined> {
  try {
    return await readlink(join(real, dataLink))
  } catch (error) {
    // EINVAL: something else has that name.
    if (['ENOENT', 'ENOTDIR', 'EINVAL', 'EACCES'].includes(codeOf(error))) return undefined
    throw error
  }
}

/** Undefined for what is gone. @throws {MountError} `escape`, `unreadable` */
async function resolveInside(realRoot: string, path: string): Promise<string | undefined> {
  const real = await orAbsent(() => orMountError(path, () => realpath(join(realRoot, path))))
  if (real === undefined || real === realRoot || real.startsWith(realRoot.replace(/\/?$/, sep))) return real
  throw new MountError('escape', path, `${describe(path)} is a link that leads out of the folder`)
}

async function orAbsent<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || (error instanceof MountError && error.code === 'absent')) return undefined
    throw error
  }
}

async function orMountError<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = codeOf(cause)
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new MountError('absent', path, `${describe(path)} is not there`, { cause })
    if (code === 'ELOOP') throw new MountError('escape', path, `${describe(path)} is a link to a link`, { cause })
    throw new MountError('unreadable', path, `${describe(path)} can not be read (${code || 'error'})`, { cause })
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function describe(path: string): string {
  return path === '' ? 'the folder' : path
}

async function collect<T>(values: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = []
  for await (const value of values) all.push(value)
  return all
}
