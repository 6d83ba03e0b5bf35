/**
 * Secrets over a store in memory, with records beside them and a clock that the test moves.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { createSealedKeys } from '../../src/adapters/keys/sealed.ts'
import { createOperatorAdmission, type SecretOperator } from '../../src/core/admit-secret.ts'
import type { RecordWriter } from '../../src/core/audit.ts'
import { createSecretKeeper, type SecretKeeper } from '../../src/core/keep-secrets.ts'
import { formatRecord, type RecordEntry } from '../../src/core/record.ts'
import { createSecretChanges, type SecretChanges } from '../../src/core/secret-changes.ts'
import { createMemoryStore, type MemoryStore } from './memory-store.ts'

export interface SecretWorld {
  now: Date
  readonly store: MemoryStore
  /** Everything that was kept on record. */
  readonly entries: RecordEntry[]
  readonly recordText: () => string
  /** Runs before each write of records: may change the store, or throw. */
  beforeAppend: () => void | Promise<void>
  readonly writer: RecordWriter
  readonly keys: ReturnType<typeof createSealedKeys>
  readonly changes: SecretChanges
  readonly secrets: SecretKeeper<SecretOperator>
}

export function createSecretWorld(sealKey = randomBytes(32)): SecretWorld {
  const store = createMemoryStore()
  const entries: RecordEntry[] = []
  const keys = createSealedKeys({ sealKey, trustDomain: 'example.org', randomBytes })
  const writer: RecordWriter = {
    async append(more, _, change) {
      await world.beforeAppend()
      if (change && !store.apply(change)) return 'outdated'
      entries.push(...more)
      return 'stored'
    },
    head: () => ({ chain: 'main', sequence: entries.length, mac: Buffer.alloc(32) }),
    isFailing: () => false,
    close: async () => undefined,
  }
  const now = () => world.now
  const changes = createSecretChanges()
  const world: SecretWorld = {
    now: new Date('2026-08-01T12:00:00.000Z'),
    store,
    entries,
    recordText: () => entries.map(formatRecord).join('\n'),
    beforeAppend: () => {},
    writer,
    keys,
    changes,
    secrets: createSecretKeeper({ store, keys, changes, now }, createOperatorAdmission({ writer, now })),
  }
  return world
}
