/**
 * A store out of a backup.
 *
 * It is made beside the place where it is to be, and takes that place as a whole: whatever stops it before, the place is
 * as empty as it was.
 *
 * @module
 */
import { createReadStream } from 'node:fs'
import { mkdir, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createRecordWriter } from '../adapters/stores/record-writer.ts'
import { createSqliteStore } from '../adapters/stores/sqlite.node.ts'
import {
  type BackupFacts,
  markAsStore,
  readBackupFacts,
  removeDatabase,
} from '../adapters/stores/sqlite-backup.node.ts'
import { formatAuthoritySet, readAuthoritySet } from '../core/authority-document.ts'
import type { Authority } from '../core/authority-plan.ts'
import type { Configuration } from '../core/config.ts'
import type { SqliteConfig } from '../core/config-store.ts'
import { SealError } from '../core/key-manager.ts'
import { retireRestored } from '../core/restored-authorities.ts'
import { silentTelemetry } from '../core/telemetry.ts'
import { loadConfiguration } from './configuration.node.ts'
import { isEmpty, type OpenStore, openStore } from './open-store.node.ts'
import { createFile } from './replace-file.node.ts'
import { SealKeyError, syncFolderOf } from './seal-key.node.ts'
import { createNodeAuthorities, createSources } from './server.node.ts'

export interface RestoreRequest {
  readonly configFile: string
  readonly backupFile: string
  /** Whether what the authorities of the backup signed stays believed. */
  readonly keepTrust: boolean
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface RestoreReport {
  readonly store: string
  readonly trustDomain: string
  readonly backupAt: Date
  /** Join tokens that had uses left, and have none now. */
  readonly joinTokensVoided: number
  readonly sequence: number
  readonly authorities: readonly Authority[]
}

/** Why nothing was restored. */
export class RestoreError extends Error {
  override readonly name = 'RestoreError'
}

/** What the configuration and the backup say before anything is done. @throws {RestoreError} and as {@link restoreStore} */
export async function readRestore({ configFile, backupFile }: Pick<RestoreRequest, 'configFile' | 'backupFile'>) {
  const config = inFile(await loadConfiguration(configFile))
  await stat(backupFile)
  const facts = readBackupFacts(backupFile, config.trustDomain)
  await requireEmpty(config)
  return { config, facts }
}

/**
 * @throws {RestoreError} when there is a store already
 * @throws {ConfigurationError} @throws {DocumentError} @throws {StoreError} @throws {SealKeyError} @throws {Refusal}
 */
export async function restoreStore(request: RestoreRequest): Promise<RestoreReport> {
  const { config, facts } = await readRestore(request)
  const { path } = config.store
  const draft = `${path}.restoring`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  removeDatabase(draft)
  try {
    // Not as a copy of the file has it: backups lie about with any mode.
    await createFile(draft, createReadStream(request.backupFile), 0o600)
    const report = await settle(request, { ...config, store: { ...config.store, path: draft } }, facts)
    const { joinTokens } = markAsStore(draft, facts)
    // Meanwhile somebody may have started a gateway there, as a supervisor does.
    await requireEmpty(config)
    removeDatabase(path)
    await rename(draft, path)
    await syncFolderOf(path)
    return { ...report, store: path, joinTokensVoided: joinTokens }
  } finally {
    removeDatabase(draft)
  }
}

type ConfigurationInFile = Configuration & { readonly store: SqliteConfig }

/** @throws {RestoreError} */
function inFile(config: Configuration): ConfigurationInFile {
  const { store } = config
  if (store.kind === 'sqlite') return { ...config, store }
  throw new RestoreError(
    'this store is restored by its own tools: `pg_restore --dbname=URL FILE`. Then start the gateway, prepare and activate new authorities, and revoke the join tokens',
  )
}

/** @throws {StoreError} `in_use` where a gateway runs on it */
async function requireEmpty({ store: { path }, trustDomain }: ConfigurationInFile): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size === 0) return
  const store = createSqliteStore({ path, trustDomain })
  try {
    if (await isEmpty(store)) return
  } finally {
    await store.close()
  }
  throw new RestoreError(
    `there is a store at ${path}, and a restore overwrites none: move it away, and leave the seal key of the backup in its place`,
  )
}

/** Makes new authorities, and puts on record what was done. */
async function settle(request: RestoreRequest, config: Configuration, facts: BackupFacts) {
  const sources = createSources()
  const opened = await openWith(request, config, facts)
  try {
    const sequence = await renewAuthorities({ config, opened, sources, keepTrust: request.keepTrust })
    const writer = await createRecordWriter({
      store: opened.store,
      chain: () => 'main',
      macKey: opened.recordKeys.macKey,
      telemetry: silentTelemetry,
    })
    const details = { backup_at: facts.at.toISOString(), old_authorities: request.keepTrust ? 'trusted' : 'untrusted' }
    await writer.append([{ time: sources.now(), operation: 'store.restore', decision: 'granted', details }])
    await writer.close()
    return { trustDomain: config.trustDomain, backupAt: facts.at, ...sequence }
  } finally {
    await opened.store.close()
  }
}

async function openWith({ env }: RestoreRequest, config: Configuration, { sealKey }: BackupFacts): Promise<OpenStore> {
  try {
    return await openStore(config, { purpose: 'backup', env }, createSources().randomBytes)
  } catch (cause) {
    if (!(cause instanceof SealError)) throw cause
    const where = 'file' in config.seal ? config.seal.file : config.seal.env
    throw new SealKeyError(
      `the backup is sealed under key ${sealKey}, and ${where} is another: put that one in its place, which after a rotation is ${where}.${sealKey}. Nothing was restored`,
      { cause },
    )
  }
}

async function renewAuthorities(parts: {
  readonly config: Configuration
  readonly opened: OpenStore
  readonly sources: ReturnType<typeof createSources>
  readonly keepTrust: boolean
}): Promise<Pick<RestoreReport, 'sequence' | 'authorities'>> {
  const { config, opened, sources, keepTrust } = parts
  const { version, body } = await opened.store.readDocument('authorities')
  const retired = retireRestored(readAuthoritySet(body), keepTrust, sources.now())
  if (version > 0) await opened.store.writeDocument('authorities', version, formatAuthoritySet(retired))
  const authorities = createNodeAuthorities({ config, opened, sources, telemetry: silentTelemetry }, () => config)
  await authorities.refresh()
  return { sequence: authorities.current().sequence, authorities: authorities.list() }
}
