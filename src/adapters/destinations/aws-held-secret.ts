/**
 * A secret as Secrets Manager describes it → whose it is and whether it holds what we wrote.
 *
 * A value of ours is current when the version that the stamp speaks of is. The stamp of a new secret is written with its
 * value at once; that of a later version follows in a call of its own, and until then the version itself says that it is
 * ours, by a staging label that moves with our writes alone.
 *
 * @module
 */
import type { DescribeSecretCommandOutput, SecretListEntry } from '@aws-sdk/client-secrets-manager'
import { parseStamp } from '../../core/owner-stamp.ts'
import type { HeldSecret, SecretPush } from '../../core/secret-destination.ts'
import type { Tags } from './push-check.ts'

export const currentStage = 'AWSCURRENT'
/** Of the version that was written last by us. */
export const writtenStage = 'APOSTILLE'
/** The stamp's version before there is one. */
export const noVersion = 'none'

type Described = Pick<
  DescribeSecretCommandOutput & SecretListEntry,
  'Name' | 'Tags' | 'VersionIdsToStages' | 'SecretVersionsToStages' | 'OwningService'
>

/** Undefined where it has no name, as none that AWS tells of. */
export function readHeld(described: Described): HeldSecret | undefined {
  if (described.Name === undefined) return undefined
  const stamp = readStamp(described)
  const state = stateOf(stagesOf(described), stamp?.version, stamp !== undefined)
  return { name: described.Name, state, ...(stamp !== undefined && { stamp }) }
}

/** What a service of AWS manages is never ours, nor to be adopted. */
function readStamp(described: Described) {
  const { OwningService: service } = described
  const managed = service === undefined || service === '' ? undefined : service
  if (managed === undefined) return parseStamp(readTags(described))
  return { owner: `aws:${managed}`, source: '', basis: '', fingerprint: '', group: '', parts: 0 }
}

export function readTags({ Tags = [] }: Described): Tags {
  return Object.fromEntries(Tags.flatMap(({ Key, Value = '' }) => (Key === undefined ? [] : [[Key, Value]])))
}

type Stages = Readonly<Record<string, readonly string[]>>

export function stagesOf({ VersionIdsToStages, SecretVersionsToStages }: Described): Stages {
  return VersionIdsToStages ?? SecretVersionsToStages ?? {}
}

export function versionWith(stages: Stages, stage: string): string | undefined {
  return Object.keys(stages).find((id) => stages[id]?.includes(stage))
}

function stateOf(stages: Stages, stamped: string | undefined, isOurs: boolean): HeldSecret['state'] {
  const current = versionWith(stages, currentStage)
  if (current === undefined) return 'empty'
  if (!isOurs || stamped === current) return 'whole'
  return stamped === noVersion || stages[current]?.includes(writtenStage) ? 'empty' : 'edited'
}

/** Whether the current version is this very write, of which only the answer was lost. */
export function isThisWrite(stages: Stages, { token }: SecretPush): boolean {
  const current = versionWith(stages, currentStage)
  return current !== undefined && current === token(versionWith(stages, 'AWSPREVIOUS') ?? '')
}
