/**
 * The links that are files: who may read and write them, and how much more the disk takes.
 *
 * @module
 */
import { readdir, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Configuration } from '../core/config.ts'
import { type PostgresConfig, storeFiles } from '../core/config-store.ts'
import { type Finding, findError, findWarning } from '../core/finding.ts'
import { type Check, concludeCheck, skipCheck } from './doctor.node.ts'
import { nextKeyFile } from './seal-key.node.ts'

interface GuardedFile {
  readonly path: string
  /** In a few words. */
  readonly what: string
  /** Bits of the mode that others must not have. */
  readonly forbidden: number
  /** What it is to be. */
  readonly mode: string
}

const secret = { forbidden: 0o077, mode: '600' } as const
const readable = { forbidden: 0o022, mode: '644' } as const
const folder = { forbidden: 0o022, mode: '700' } as const

export async function checkFiles(configFile: string, config: Configuration): Promise<Check> {
  const files = [...guardedFiles(configFile, config), ...(await formerSealKeys(config))]
  const found = await Promise.all(files.map(async (file) => ({ file, mode: await modeOf(file.path) })))
  const there = found.filter(({ mode }) => mode !== undefined)
  const findings = there.flatMap(({ file, mode = 0 }) => explainMode(file, mode))
  return concludeCheck('files', `${there.length} looked at`, findings)
}

function guardedFiles(
  configFile: string,
  { store, seal, admin, listen, authorities }: Configuration,
): readonly GuardedFile[] {
  const ofStore = store.kind === 'sqlite' ? databaseFiles(store.path) : secretFiles(store)
  const socket = admin.listen.kind === 'unix' ? [admin.listen.path] : []
  const keys = 'file' in seal ? [seal.file, nextKeyFile(seal.file)] : []
  const tls = typeof listen.tls === 'string' ? [] : [listen.tls.key]
  const { upstream } = authorities.x509
  return [
    { path: configFile, what: 'the configuration, which says who gets what,', ...readable },
    ...keys.map((file) => ({ path: file, what: 'the seal key', ...secret })),
    ...(seal.also ?? []).flatMap((key) => ('file' in key ? [{ path: key.file, what: formerKey, ...secret }] : [])),
    ...(upstream === undefined ? [] : [{ path: upstream.key, what: 'the key of the upstream authority', ...secret }]),
    ...ofStore,
    ...socket.map((file) => ({ path: file, what: 'the admin socket', ...secret })),
    // Many a tool hands certificates to a group.
    ...tls.map((file) => ({ path: file, what: 'the key of listen.tls', forbidden: 0o027, mode: '640' })),
  ]
}

const formerKey = 'a former seal key'

/** As a rotation leaves them beside the present one: they open backups. */
async function formerSealKeys({ seal }: Configuration): Promise<readonly GuardedFile[]> {
  if (!('file' in seal)) return []
  const [folder, start] = [dirname(seal.file), `${basename(seal.file)}.`]
  const names = await readdir(folder).catch(() => [])
  const former = names.filter((name) => name.startsWith(start) && /^[0-9a-f]{16}$/.test(name.slice(start.length)))
  return former.map((name) => ({ path: join(folder, name), what: formerKey, ...secret }))
}

function databaseFiles(path: string): readonly GuardedFile[] {
  return [
    ...['', '-wal', '-shm'].map((end) => ({ path: `${path}${end}`, what: 'the store', ...secret })),
    { path: dirname(path), what: 'the folder of the store', ...folder },
  ]
}

function secretFiles(store: PostgresConfig): readonly GuardedFile[] {
  const { password, key_file: key } = storeFiles(store)
  const files = { 'the password of the database': password, 'the key for the database': key }
  return Object.entries(files).flatMap(([what, path]) => (path === undefined ? [] : [{ path, what, ...secret }]))
}

/** Undefined where there is none: who needs it says so. */
async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o777
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'EACCES') return undefined
    throw error
  }
}

function explainMode({ path, what, forbidden, mode: wanted }: GuardedFile, mode: number): readonly Finding[] {
  const excess = mode & forbidden
  if (excess === 0) return []
  const how = (excess & 0o022) !== 0 ? 'written' : 'read'
  const message = `${what} can be ${how} by others than its owner: ${path} has mode ${mode.toString(8)}`
  return [findError('file_mode', message, `take it from them: chmod ${wanted} ${path}`)]
}

const megabyte = 1024 * 1024
const fewBytes = 100 * megabyte
const lowBytes = 1024 * megabyte
const lowShare = 0.05

/** A store that can not be written to issues nothing. */
export async function checkDisk({ store }: Configuration): Promise<Check> {
  if (store.kind === 'postgres') return skipCheck('disk', 'the store is on the server of the database')
  const place = dirname(store.path)
  try {
    const { bavail, blocks, bsize } = await statfs(place)
    const free = bavail * bsize
    const share = bavail / Math.max(1, blocks)
    const seen = `${Math.floor(free / megabyte)} MB free for ${place} (${Math.round(share * 100)} %)`
    return concludeCheck('disk', seen, explainFree(free, share))
  } catch (error) {
    return skipCheck('disk', `${place} can not be looked at: ${(error as NodeJS.ErrnoException).code}`)
  }
}

function explainFree(free: number, share: number): readonly Finding[] {
  const remedy = 'make room, or remove old records: `apostille records prune`'
  const message = 'there is little room for records, and without a record nothing is issued'
  if (free < fewBytes) return [findError('disk_full', message, remedy)]
  return free < lowBytes || share < lowShare ? [findWarning('disk_low', message, remedy)] : []
}
