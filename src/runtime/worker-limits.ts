/**
 * What of the admin API a Worker leaves to its platform: the files of a store and of a seal key are not there.
 *
 * @module
 */
import { sealKeyId } from '../adapters/keys/sealed.ts'
import { Refusal } from '../core/refusal.ts'
import type { Backups } from '../http/routes/backup.ts'
import type { SealRotation } from '../http/routes/seal.ts'

export const workerBackups: Backups = {
  take: async () =>
    notHere('a Worker has no file to copy: use the point-in-time recovery of its Durable Object, or of D1'),
}

export function createWorkerSeal(sealKey: Uint8Array): SealRotation {
  return {
    keyId: () => sealKeyId(sealKey),
    isUnfinished: () => false,
    rotate: async () => notHere('the seal key of a Worker is a secret of its platform, and is not rotated yet'),
  }
}

function notHere(detail: string): never {
  throw new Refusal('conflict', detail, { detail })
}
