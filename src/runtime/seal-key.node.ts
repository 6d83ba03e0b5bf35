/**
 * The seal key: 32 bytes in base64, in a file or in the environment.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseSealKey } from '../adapters/keys/sealed.ts'
import type { Configuration } from '../core/config.ts'
import { replaceFile } from './replace-file.node.ts'

/** A seal key that is not there or is none. */
export class SealKeyError extends Error {
  override readonly name = 'SealKeyError'
}

export interface SealKeyInput {
  readonly seal: Configuration['seal']
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether the store holds nothing yet: only then is a missing file made, as a new key opens nothing old. */
  readonly storeIsEmpty: boolean
}

/** The seal keys of a process. */
export interface SealKeys {
  readonly seals: Uint8Array
  /** What opens what was sealed before. */
  readonly opens: readonly Uint8Array[]
  /** A rotation was begun, and is to be gone on with. */
  readonly isUnfinished: boolean
}

/** Where the next seal key stands until everything is sealed under it. */
export function nextKeyFile(file: string): string {
  return `${file}.next`
}

/** @throws {SealKeyError} */
export async function readSealKeys(input: SealKeyInput): Promise<SealKeys> {
  const { also = [] } = input.seal
  const former = await Promise.all(also.map((seal) => readSealKey({ ...input, seal, storeIsEmpty: false })))
  const key = await readSealKey(input)
  const next = 'file' in input.seal ? await readIfThere(nextKeyFile(input.seal.file)) : undefined
  if (next === undefined || !('file' in input.seal)) return { seals: key, opens: former, isUnfinished: false }
  return { seals: parse(next, nextKeyFile(input.seal.file)), opens: [key, ...former], isUnfinished: true }
}

export async function readSealKey({ seal, env, storeIsEmpty }: SealKeyInput): Promise<Uint8Array> {
  if ('env' in seal) {
    const text = env[seal.env]
    if (text === undefined || text === '')
      throw new SealKeyError(
        `the seal key is missing: set ${seal.env} to 32 random bytes in base64 (openssl rand -base64 32)`,
      )
    return parse(text, seal.env)
  }
  const text = await readIfThere(seal.file)
  // An empty file is what a crash may leave of one that was being made.
  if (text !== undefined && (text !== '' || !storeIsEmpty)) return parse(text, seal.file)
  if (!storeIsEmpty)
    throw new SealKeyError(
      `the seal key ${seal.file} is missing, and the store holds keys that only it opens: bring it back from your backup. Nothing was changed`,
    )
  return createSealKey(seal.file)
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    return undefined
  }
}

function parse(text: string, where: string): Uint8Array {
  try {
    return parseSealKey(text)
  } catch (cause) {
    throw new SealKeyError(`${where} holds no seal key: 32 bytes in base64 are expected (openssl rand -base64 32)`, {
      cause,
    })
  }
}

/** Whoever makes one holds the store, so that nobody else makes one at the same time. */
export async function createSealKey(path: string): Promise<Uint8Array> {
  const key = randomBytes(32)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeSealKey(path, key)
  return key
}

/** Durable when it resolves. */
export async function writeSealKey(path: string, key: Uint8Array): Promise<void> {
  await replaceFile(path, `${Buffer.from(key).toString('base64')}\n`, 0o600)
  await syncFolderOf(path)
}

/** So that names of files in it are durable as well. */
export async function syncFolderOf(path: string): Promise<void> {
  await using folder = await open(dirname(path), 'r')
  await folder.sync()
}
