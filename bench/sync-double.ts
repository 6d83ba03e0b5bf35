/**
 * A destination that takes its time for each request, and holds what it is given in memory or, where the memory of the
 * process is measured, in a file.
 *
 * @module
 */
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { formatStamp, type OwnerStamp, parseStamp } from '../src/core/owner-stamp.ts'
import type { DestinationTurn, HeldSecret, SecretDestination } from '../src/core/secret-destination.ts'

export interface SyncDouble {
  readonly destination: SecretDestination
  /** Since the last time that this was asked. */
  readonly takeCalls: () => Calls
}

export interface Calls {
  readonly pages: number
  readonly looks: number
  readonly writes: number
}

const pageSize = 100

/** @param file Absent: in memory. */
export function createSyncDouble({
  latencyMs,
  file,
}: {
  readonly latencyMs: number
  readonly file?: string
}): SyncDouble {
  const shelf = file === undefined ? createMemoryShelf() : createFileShelf(file)
  let calls: Calls = { pages: 0, looks: 0, writes: 0 }

  async function request<T>(turn: DestinationTurn, kind: keyof Calls, run: () => T): Promise<T> {
    await turn.pace(kind === 'writes' ? 'write' : 'read')
    calls = { ...calls, [kind]: calls[kind] + 1 }
    if (latencyMs > 0) await setTimeout(latencyMs)
    return run()
  }

  return {
    takeCalls() {
      const taken = calls
      calls = { pages: 0, looks: 0, writes: 0 }
      return taken
    },
    destination: {
      async *list(turn) {
        for (let after = ''; ; ) {
          const page = await request(turn, 'pages', () => shelf.page(after))
          yield page
          if (page.length < pageSize) return
          after = page.at(-1)?.name ?? after
        }
      },
      find: (name, turn) => request(turn, 'looks', () => shelf.get(name)),
      write: ({ name, stamp }, turn) =>
        request(turn, 'writes', () => {
          shelf.put(name, stamp)
          return { outcome: 'created', id: name }
        }),
      remove: () => Promise.reject(new Error('nothing is removed here')),
    },
  }
}

interface Shelf {
  readonly get: (name: string) => HeldSecret | undefined
  readonly put: (name: string, stamp: OwnerStamp) => void
  /** In the order of their names. */
  readonly page: (after: string) => readonly HeldSecret[]
}

function createMemoryShelf(): Shelf {
  const held = new Map<string, HeldSecret>()
  return {
    get: (name) => held.get(name),
    put: (name, stamp) => void held.set(name, { name, state: 'whole', stamp }),
    page(after) {
      const names = [...held.keys()].filter((name) => name > after).sort()
      return names.slice(0, pageSize).flatMap((name) => held.get(name) ?? [])
    },
  }
}

const pragmas = 'PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000'

function createFileShelf(file: string): Shelf {
  const db = new DatabaseSync(file)
  db.exec(`${pragmas}; CREATE TABLE secrets (name TEXT PRIMARY KEY, tags TEXT) WITHOUT ROWID`)
  const page = db.prepare('SELECT name, tags FROM secrets WHERE name > ? ORDER BY name LIMIT ?')
  const one = db.prepare('SELECT name, tags FROM secrets WHERE name = ?')
  const put = db.prepare('INSERT OR REPLACE INTO secrets (name, tags) VALUES (?, ?)')
  return {
    get(name) {
      const row = one.get(name)
      return row && readRow(row)
    },
    put: (name, stamp) => void put.run(name, JSON.stringify(formatStamp(stamp))),
    page: (after) => page.all(after, pageSize).map(readRow),
  }
}

function readRow({ name, tags }: Readonly<Record<string, unknown>>): HeldSecret {
  const stamp = parseStamp(JSON.parse(String(tags)) as Readonly<Record<string, string>>)
  return { name: String(name), state: 'whole', ...(stamp && { stamp }) }
}
