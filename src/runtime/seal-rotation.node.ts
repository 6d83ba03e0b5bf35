/**
 * Puts another seal key in the place of the present one, while the gateway runs.
 *
 * The next key is durable beside the present one before anything is sealed under it, and takes its place when nothing
 * is sealed under the present one any more. Until then both are read at each start, so that a stop at any point loses
 * nothing, and a rotation that is asked for again goes on where it was.
 *
 *     seal.key    ──▶ seal.key, seal.key.next ──▶ …, seal.key.ID ──▶ seal.key, seal.key.ID
 *     the present     both open, next seals       copy of the old    the next one alone
 *
 * A key that this process can not write, such as one of the environment, is changed in the configuration: the next one
 * is `seal`, the one before stands in `seal.also`, and what is left to do is to seal everything anew.
 *
 * @module
 */
import { rename } from 'node:fs/promises'
import { sealKeyId } from '../adapters/keys/sealed.ts'
import type { RecordWriter } from '../core/audit.ts'
import type { Configuration } from '../core/config.ts'
import { Refusal } from '../core/refusal.ts'
import { type ResealDeps, resealStore } from '../core/reseal.ts'
import type { RotationReport, SealRotation } from '../http/routes/seal.ts'
import { createSealKey, nextKeyFile, syncFolderOf, writeSealKey } from './seal-key.node.ts'
import type { ChangingRing } from './seal-ring.node.ts'

export interface SealRotationDeps extends ResealDeps {
  readonly seal: Configuration['seal']
  readonly ring: ChangingRing
  /** Other processes open the store, with a key that only the configuration can give them. */
  readonly isShared: boolean
  readonly writer: Pick<RecordWriter, 'append'>
  readonly now: () => Date
  /** Resolves after so many milliseconds. */
  readonly pause: (ms: number) => Promise<unknown>
}

/** Longer than anything takes from being sealed to standing in the store. */
const settleMs = 2_000

export function createSealRotation(deps: SealRotationDeps): SealRotation {
  const { ring } = deps
  let underWay = false
  return {
    keyId: ring.id,
    isUnfinished: ring.isUnfinished,
    async rotate(requestId) {
      if (underWay) throw conflict('a rotation is under way')
      underWay = true
      try {
        return await ('file' in deps.seal && deps.seal.also === undefined && !deps.isShared
          ? rotateFile(deps, deps.seal.file, requestId)
          : adoptConfigured(deps, requestId))
      } finally {
        underWay = false
      }
    },
  }
}

function conflict(detail: string): Refusal {
  return new Refusal('conflict', detail, { detail })
}

async function rotateFile(deps: SealRotationDeps, file: string, requestId: string): Promise<RotationReport> {
  const { ring } = deps
  if (!ring.isUnfinished()) ring.begin(await createSealKey(nextKeyFile(file)))
  const resealed = await resealAll(deps)
  const [former = ring.seals()] = ring.opens()
  const formerKeyFile = `${file}.${sealKeyId(former)}`
  await record(deps, requestId, { key: ring.id(), former: sealKeyId(former), resealed })
  await writeSealKey(formerKeyFile, former)
  await rename(nextKeyFile(file), file)
  await syncFolderOf(file)
  ring.finish()
  return { key: ring.id(), resealed, formerKeyFile }
}

/** The configuration says which key is the next one. */
async function adoptConfigured(deps: SealRotationDeps, requestId: string): Promise<RotationReport> {
  const { ring } = deps
  const [former] = ring.opens()
  if (former === undefined)
    throw conflict(
      'this gateway can not write the seal key: put the next one in its place, name the present one in seal.also, restart, and ask again',
    )
  const resealed = await resealAll(deps)
  await record(deps, requestId, { key: ring.id(), former: sealKeyId(former), resealed })
  return { key: ring.id(), resealed }
}

/** What was sealed just before the next key did so may only now have reached the store: looked for until there is none. */
async function resealAll(deps: SealRotationDeps): Promise<number> {
  let total = 0
  for (let settled = false; ; settled = true) {
    const { resealed } = await resealStore(deps)
    total += resealed
    if (settled && resealed === 0) return total
    await deps.pause(settleMs)
  }
}

async function record(
  { writer, now }: SealRotationDeps,
  requestId: string,
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  await writer.append([{ time: now(), requestId, operation: 'seal.rotate', decision: 'granted', details }])
}
