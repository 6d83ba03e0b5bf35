/**
 * Files of a folder that somebody else keeps: Kubernetes mounts, Docker secrets, drivers of the CSI, a checkout.
 *
 * Kubernetes replaces a whole mount at once by pointing the link `..data` at another folder, and removes the former one.
 * Whatever is read while that happens may be half of each or look deleted, so it is read again when the link has moved.
 *
 * Whoever writes into the folder must not choose what else of this machine is read: links count only as far as they lead to
 * something inside the folder.
 *
 * @see {@link https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go AtomicWriter}
 * @module
 */
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'

/** A file as it was read. */
export interface ReadFile {
  readonly bytes: Uint8Array
  /** See {@link stampOf}. */
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

/** What keeps a file or folder from being read. The message names the path below the root, and nothing of the content. */
export class MountError extends Error {
  override readonly name = 'MountError'
  readonly code: MountErrorCode

  constructor(code: MountErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const maxTries = 5
/** Anybody: `o+w`. */
const writableByOthers = 0o002n

/** The root with all links resolved. @throws {MountError} `absent`, `unreadable` */
export async function openMount(root: string): Promise<string> {
  return orMountError('', () => realpath(root))
}

/** Changes whenever the file does; holds nothing of its content. */
export function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
}

/**
 * Undefined for a file that is not there.
 *
 * @param realRoot As {@link openMount} answers it.
 * @throws {MountError}
 */
export function readMountedFile(realRoot: string, path: string, maxBytes: number): Promise<ReadFile | undefined> {
  return ofOneMoment(realRoot, path, async () => {
    for (let tries = 0; tries < maxTries; tries++) {
      const real = await resolveInside(realRoot, path)
      if (real === undefined) return undefined
      const file = await orAbsent(() => orMountError(path, () => open(real, openFlags)))
      if (file === undefined) return undefined
      await using opened = file
      if (await isOf(opened, real)) return await readOpened(opened, path, maxBytes)
    }
    throw restless(path)
  })
}

/** A pipe without a writer would be waited for, and a link that was put there since is not followed. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Whether the open file is the one at that path without links. Folders on the way may have been links at the moment of the
 * opening and folders before and after it, so the path says nothing: only what was opened does.
 */
async function isOf(file: FileHandle, real: string): Promise<boolean> {
  // Where the system tells, it is asked: `proc(5)`.
  const opened = await readlink(`/proc/self/fd/${file.fd}`).catch(() => undefined)
  if (opened !== undefined) return opened === real
  const [{ dev, ino }, there] = await Promise.all([
    file.stat({ bigint: true }),
    lstat(real, { bigint: true }).catch(() => undefined),
  ])
  return there?.dev === dev && there.ino === ino && (await realpath(real).catch(() => undefined)) === real
}

/** Undefined for a folder. */
async function readOpened(file: FileHandle, path: string, maxBytes: number): Promise<ReadFile | undefined> {
  const found = await file.stat({ bigint: true })
  if (found.isDirectory()) return undefined
  if (!found.isFile()) throw new MountError('special', `${path} is neither a file nor a folder`)
  if ((found.mode & writableByOthers) !== 0n)
    throw new MountError('writable', `anybody may write to ${path}: take that right away (chmod o-w)`)
  const { bytesRead, buffer } = await file.read(new Uint8Array(maxBytes + 1), 0, maxBytes + 1, 0)
  if (bytesRead > maxBytes) throw new MountError('too_large', `${path} has more than ${maxBytes} bytes (max_bytes)`)
  return { stamp: stampOf(found), bytes: buffer.subarray(0, bytesRead) }
}

/**
 * Runs what reads a file or folder until no mount on the way to it was replaced meanwhile.
 *
 * @throws {MountError} `restless`, and what the last run throws
 */
export async function ofOneMoment<T>(realRoot: string, path: string, read: () => Promise<T>): Promise<T> {
  for (let tries = 0; tries < maxTries; tries++) {
    const before = await momentOf(realRoot, path)
    const outcome = await settle(read)
    if ((await momentOf(realRoot, path)) !== before) continue
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }
  throw restless(path)
}

function restless(path: string): MountError {
  return new MountError('restless', `${describePath(path)} was replaced ${maxTries} times while it was read`)
}

async function settle<T>(read: () => Promise<T>): Promise<{ readonly value: T } | { readonly error: unknown }> {
  try {
    return { value: await read() }
  } catch (error) {
    return { error }
  }
}

/** Where the link `..data` leads in each folder from the root to the path. */
async function momentOf(realRoot: string, path: string): Promise<string> {
  const segments = path.split('/').filter((segment) => segment !== '')
  const folders = [realRoot, ...segments.map((_, index) => join(realRoot, ...segments.slice(0, index + 1)))]
  return (await Promise.all(folders.map(readDataLink))).join('\n')
}

/** Empty where there is none. */
export async function readDataLink(folder: string): Promise<string> {
  try {
    return await readlink(join(folder, '..data'))
  } catch {
    // Whatever is wrong with the folder is said by whoever reads it.
    return ''
  }
}

/** The path without links; undefined for what is not there. @throws {MountError} `escape`, `unreadable` */
export async function resolveInside(realRoot: string, path: string): Promise<string | undefined> {
  const real = await orAbsent(() => orMountError(path, () => realpath(join(realRoot, path))))
  if (real === undefined || real === realRoot || real.startsWith(realRoot.replace(/\/?$/, sep))) return real
  throw new MountError('escape', `${describePath(path)} is a link that leads out of the folder`)
}

/** Undefined for what is not there. */
export async function orAbsent<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MountError && error.code === 'absent') return undefined
    throw error
  }
}

/** @throws {MountError} for what the file system says */
export async function orMountError<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error'
    const what = describePath(path)
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new MountError('absent', `${what} is not there`, { cause })
    if (code === 'ELOOP') throw new MountError('escape', `${what} is a link that leads around in a circle`, { cause })
    throw new MountError('unreadable', `${what} can not be read (${code})`, { cause })
  }
}

export function describePath(path: string): string {
  return path === '' ? 'the folder' : path
}
