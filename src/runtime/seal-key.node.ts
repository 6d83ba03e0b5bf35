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

export async function readSealKey({ seal, env, storeIsEmpty }: SealKeyInput): Promise<Uint8Array> {
  if ('env' in seal) {
    const text = env[seal.env]
    if (text === undefined || text === '')
      throw new SealKeyError(
        `the seal key is missing: set ${seal.env} to 32 random bytes in base64 (openssl rand -base64 32)`,
      )
    return parse(text, seal.env)
  }
  try {
    return parse(await readFile(seal.file, 'utf8'), seal.file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    if (!storeIsEmpty)
      throw new SealKeyError(
        `the seal key ${seal.file} is missing, and the store holds keys that only it opens: bring it back from your backup. Nothing was changed`,
        { cause },
      )
    return await create(seal.file)
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

async function create(path: string): Promise<Uint8Array> {
  const key = randomBytes(32)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await using file = await open(path, 'wx', 0o600)
  await file.writeFile(`${key.toString('base64')}\n`)
  await file.sync()
  return key
}
