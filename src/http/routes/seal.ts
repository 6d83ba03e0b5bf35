/**
 * Admin: the seal key, which wraps what is secret in the store.
 *
 * @module
 */
import { Hono } from 'hono'
import * as z from 'zod'
import type { AdminEnv } from '../admin-app.ts'
import { readJsonBody } from '../body.ts'

export interface RotationReport {
  /** Tells the key that seals from now on from others, and says nothing of it. */
  readonly key: string
  /** Documents of the store that were sealed anew. */
  readonly resealed: number
  /** Where the key before it is kept, for backups that were made under it. Absent where the configuration names it. */
  readonly formerKeyFile?: string
}

/** Port: what the runtime knows of the seal key. */
export interface SealRotation {
  /** Of the key that seals now. */
  readonly keyId: () => string
  /** Whether another key is still needed beside it. */
  readonly isUnfinished: () => boolean
  /** @throws {Refusal} `conflict` when one is under way, or when there is no next key @throws {SealError} */
  readonly rotate: (requestId: string) => Promise<RotationReport>
}

export const rotateBody = z.strictObject({})

export function sealRoutes(seal: SealRotation) {
  return new Hono<AdminEnv>().post('/rotate', async (c) => {
    c.set('act', { operation: 'seal.rotate' })
    readJsonBody((await c.req.text()) || '{}', rotateBody)
    const { key, resealed, formerKeyFile } = await seal.rotate(c.get('requestId'))
    return c.json({ key, resealed, former_key_file: formerKeyFile })
  })
}
