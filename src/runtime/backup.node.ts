/**
 * Takes backups of the store of a running gateway.
 *
 * @module
 */
import { createReadStream } from 'node:fs'
import { removeDatabase } from '../adapters/stores/sqlite-backup.node.ts'
import type { RecordWriter } from '../core/audit.ts'
import type { Configuration } from '../core/config.ts'
import { Refusal } from '../core/refusal.ts'
import { StoreError } from '../core/store.ts'
import type { Backups } from '../http/routes/backup.ts'
import type { OpenStore } from './open-store.node.ts'

export interface BackupDeps extends Pick<OpenStore, 'backUp' | 'ring'> {
  readonly config: Configuration
  readonly writer: Pick<RecordWriter, 'append'>
  readonly now: () => Date
}

const usePgDump =
  'this store is backed up by its own tools, while it is used: `pg_dump --format=custom --file=FILE URL` and `pg_restore`. Of a restored one, prepare and activate new authorities, and revoke the join tokens'

export function createBackups({ backUp, ring, config, writer, now }: BackupDeps): Backups {
  let underWay = false

  /** Its own copy goes when it was read, or broken off. */
  async function* readAndRemove(path: string): AsyncIterable<Uint8Array> {
    try {
      yield* createReadStream(path)
    } finally {
      removeDatabase(path)
      underWay = false
    }
  }

  return {
    async take(requestId) {
      if (backUp === undefined || config.store.kind !== 'sqlite') throw conflict(usePgDump)
      if (underWay) throw conflict('a backup is being taken')
      underWay = true
      const copy = `${config.store.path}.backup`
      try {
        await writer.append([{ time: now(), requestId, operation: 'store.backup', decision: 'granted' }])
        await backUp(copy, { at: now(), sealKey: ring.id() })
      } catch (error) {
        underWay = false
        throw error instanceof StoreError ? new Refusal('store_unavailable', error.message, { cause: error }) : error
      }
      return readAndRemove(copy)
    },
  }
}

function conflict(detail: string): Refusal {
  return new Refusal('conflict', detail, { detail })
}
