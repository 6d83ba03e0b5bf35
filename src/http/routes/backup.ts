/**
 * Admin: a copy of the store.
 *
 * @module
 */
import { Hono } from 'hono'
import { stream } from 'hono/streaming'
import type { AdminEnv } from '../admin-app.ts'

/** Port: what the runtime knows of the store's file. */
export interface Backups {
  /**
   * All of the store as it is at one moment, to be read to its end or broken off.
   *
   * @throws {Refusal} `conflict` when one is being taken, or where the store has its own tools for that
   */
  readonly take: (requestId: string) => Promise<AsyncIterable<Uint8Array>>
}

export function backupRoutes(backups: Backups) {
  return new Hono<AdminEnv>().post('/', async (c) => {
    c.set('act', { operation: 'store.backup' })
    const chunks = await backups.take(c.get('requestId'))
    c.header('content-type', 'application/vnd.sqlite3')
    return stream(c, async (out) => {
      for await (const chunk of chunks) {
        if (out.aborted) break
        await out.write(chunk)
      }
    })
  })
}
