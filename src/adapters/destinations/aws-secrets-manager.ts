/**
 * Secrets in AWS Secrets Manager.
 *
 * Needs secretsmanager:ListSecrets, DescribeSecret, CreateSecret, PutSecretValue and TagResource, DeleteSecret where
 * deletions are synced, RestoreSecret where they are taken back, UpdateSecret for a `kms_key` that changes, and
 * ReplicateSecretToRegions and RemoveRegionsFromReplication for `replica_regions`. No value is ever read.
 *
 * There is no conditional write: two writers are kept apart by the name that only one can create, by the owner in the tags,
 * and, where it has to be certain, by a condition on `secretsmanager:ResourceTag/apostille-owner` in the role's policy.
 *
 * @see {@link https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html API reference}
 * @module
 */
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  type DescribeSecretCommandOutput,
  ListSecretsCommand,
  PutSecretValueCommand,
  RemoveRegionsFromReplicationCommand,
  ReplicateSecretToRegionsCommand,
  RestoreSecretCommand,
  TagResourceCommand,
  UpdateSecretCommand,
} from '@aws-sdk/client-secrets-manager'
import type { AwsDestinationDocument } from '../../core/config-destinations.ts'
import { quote } from '../../core/quote.ts'
import {
  DestinationError,
  type DestinationTurn,
  type HeldSecret,
  holdsSame,
  ownershipOf,
  type Pushed,
  type PushOutcome,
  type Removed,
  type SecretDestination,
  type SecretPush,
  type SecretValue,
} from '../../core/secret-destination.ts'
import { awsEndpoint } from '../aws-endpoint.ts'
import {
  currentStage,
  isThisWrite,
  noVersion,
  readHeld,
  readTags,
  stagesOf,
  versionWith,
  writtenStage,
} from './aws-held-secret.ts'
import { type AwsSecretsLine, createAwsSecretsLine } from './aws-secrets-line.ts'
import type { DestinationDeps, OpenedAs } from './index.ts'
import { followPages } from './pages.ts'
import { requireFitting, requireMayRemove, requireMayWrite, spellingsOf, type Tags, tagsOf } from './push-check.ts'
import { createStoreLine } from './store-line.ts'
import { buildMalformed, isNo } from './store-refusal.ts'

type Described = DescribeSecretCommandOutput

/** Of ListSecrets. */
const pageSize = 100

export function createAwsSecretsManager(
  destination: OpenedAs<AwsDestinationDocument>,
  { connect, now }: DestinationDeps,
): SecretDestination {
  const { document } = destination
  const region = regionOf(destination)
  const endpoint = document.endpoint ?? awsEndpoint('secretsmanager', region)
  const line = createAwsSecretsLine({ region, endpoint }, createStoreLine(destination, connect, endpoint), now)

  const list = (turn: DestinationTurn) =>
    followPages<readonly HeldSecret[]>(async (token) => {
      const command = new ListSecretsCommand({ MaxResults: pageSize, ...(token !== undefined && { NextToken: token }) })
      const page = await line.ask('read', command, { turn })
      // An answer of something between that is empty is no empty list.
      if (page.SecretList === undefined) throw buildMalformed('it answered a page without a list')
      return { items: page.SecretList.flatMap((entry) => readHeld(entry) ?? []), next: page.NextToken || undefined }
    })

  async function find(name: string, turn: DestinationTurn): Promise<HeldSecret | undefined> {
    const there = await describe(line, name, turn)
    return there === undefined || there.DeletedDate !== undefined ? undefined : held(there)
  }

  async function write(push: SecretPush, turn: DestinationTurn): Promise<Pushed> {
    requireFitting(document.type, push)
    const writing: Writing = { line, document, region, push, turn, secrets: spellingsOf(push.value) }
    const there = await describe(line, push.name, turn)
    if (there !== undefined) return change(there, writing)
    try {
      return await create(writing)
    } catch (error) {
      if (!isNo(error, 'ResourceExistsException')) throw error
      const meanwhile = await describe(line, push.name, turn)
      if (meanwhile === undefined) throw error
      return change(meanwhile, writing)
    }
  }

  async function remove(name: string, owner: string, turn: DestinationTurn): Promise<Removed> {
    const there = await describe(line, name, turn)
    if (there === undefined || there.DeletedDate !== undefined) return { outcome: 'absent', ...idOf(there) }
    requireMayRemove(held(there), owner)
    await removeReplicas(there, line, turn)
    const days = document.recovery_window / 86_400
    const command = new DeleteSecretCommand({ SecretId: there.ARN ?? name, RecoveryWindowInDays: days })
    const gone = await line.ask('write', command, { turn })
    return {
      outcome: 'removed',
      ...idOf(there),
      ...(gone.DeletionDate !== undefined && { recoverableUntil: gone.DeletionDate }),
      ...requestOf(gone),
    }
  }

  return { list, find, write, remove, close: line.close }
}

function regionOf({ document, targetRegion }: OpenedAs<AwsDestinationDocument>): string {
  const region = document.region ?? targetRegion
  if (region === undefined) throw new TypeError('a destination at AWS without a region, and a target without one')
  return region
}

interface Writing {
  readonly line: AwsSecretsLine
  readonly document: AwsDestinationDocument
  readonly region: string
  readonly push: SecretPush
  readonly turn: DestinationTurn
  /** What no message may repeat. */
  readonly secrets: readonly string[]
}

async function describe(line: AwsSecretsLine, name: string, turn: DestinationTurn): Promise<Described | undefined> {
  const command = new DescribeSecretCommand({ SecretId: name })
  try {
    return await line.ask('read', command, { turn })
  } catch (error) {
    if (isNo(error, 'ResourceNotFoundException')) return undefined
    throw error
  }
}

function held(there: Described): HeldSecret {
  const read = readHeld(there)
  if (read === undefined) throw buildMalformed('it described a secret without a name')
  return read
}

const idOf = (there: Described | undefined) => (there?.ARN === undefined ? {} : { id: there.ARN })

function requestOf({ $metadata }: { readonly $metadata: { readonly requestId?: string | undefined } }) {
  const { requestId } = $metadata
  return requestId === undefined ? {} : { requestId }
}

const payloadOf = (value: SecretValue) =>
  typeof value === 'string' ? { SecretString: value } : { SecretBinary: value }

const listOf = (tags: Tags) => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))

function replicasOf({ replica_regions: regions }: AwsDestinationDocument, there: readonly string[] = []) {
  return Object.entries(regions)
    .filter(([region]) => !there.includes(region))
    .map(([Region, key]) => ({ Region, ...(key !== null && { KmsKeyId: key }) }))
}

/** One call: there is no moment at which the secret has a value and no owner, or an owner and no value. */
async function create(writing: Writing): Promise<Pushed> {
  const { line, document, push } = writing
  const version = push.token('')
  const replicas = replicasOf(document)
  const command = new CreateSecretCommand({
    Name: push.name,
    ClientRequestToken: version,
    ...payloadOf(push.value),
    Tags: listOf(tagsOf(document.tags, push, version)),
    ...(document.kms_key !== undefined && { KmsKeyId: document.kms_key }),
    ...(replicas.length > 0 && { AddReplicaRegions: replicas }),
  })
  const made = await line.ask('write', command, writing)
  return { outcome: 'created', id: made.ARN ?? push.name, version, ...requestOf(made) }
}

async function change(there: Described, writing: Writing): Promise<Pushed> {
  const { push } = writing
  const before = held(there)
  if (there.DeletedDate === undefined) requireMayWrite(before, push)
  requireNoReplica(there, writing)
  if (there.DeletedDate !== undefined) await restore(there, before, writing)

  const adopted = ownershipOf(before.stamp, push.stamp.owner) === 'free'
  if (adopted) await claim(there, writing)
  const settings = await changeSettings(there, writing)
  const stages = stagesOf(there)
  const isRight = holdsSame(before, push) || isThisWrite(stages, push)
  const version = isRight ? versionWith(stages, currentStage) : await put(there, writing)
  const marked = await mark(there, version, writing)

  return {
    outcome: outcomeOf({
      recovered: there.DeletedDate !== undefined,
      adopted,
      updated: !isRight,
      marked: marked || settings,
    }),
    id: there.ARN ?? push.name,
    ...(version !== undefined && { version }),
  }
}

/** The first that holds. */
function outcomeOf(done: Readonly<Record<Exclude<PushOutcome, 'created' | 'unchanged'>, boolean>>): PushOutcome {
  const order = ['recovered', 'adopted', 'updated', 'marked'] as const
  return order.find((outcome) => done[outcome]) ?? 'unchanged'
}

const waitSeconds = 3600

/** @throws {DestinationError} `blocked_deleted`; with a time where it is waited for */
async function restore(there: Described, before: HeldSecret, { line, document, push, turn }: Writing): Promise<void> {
  const { on_scheduled_deletion: policy } = document
  const what = `${quote(push.name)} is scheduled for deletion`
  const ownership = ownershipOf(before.stamp, push.stamp.owner)
  if (ownership === 'foreign' || (ownership === 'free' && !push.adopts)) {
    throw blocked(`${what} and not ours`, 'restore it and set `conflict: adopt`, or wait until it is gone')
  }
  if (policy === 'wait') throw blocked(what, 'waiting until it is gone, as `on_scheduled_deletion` says', waitSeconds)
  if (policy === 'fail') throw blocked(what, 'restore it, or set `on_scheduled_deletion: restore`')
  const command = new RestoreSecretCommand({ SecretId: there.ARN ?? push.name })
  await line.ask('write', command, { turn })
}

function blocked(what: string, fix: string, retryAfterSeconds?: number): DestinationError {
  return new DestinationError('blocked_deleted', `${what}; ${fix}`, {
    code: 'scheduled_for_deletion',
    fix,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  })
}

function requireNoReplica({ PrimaryRegion: primary }: Described, { region, push }: Writing): void {
  if (primary === undefined || primary === '' || primary === region) return
  const fix = `sync to ${quote(primary)}, from where it is replicated`
  throw new DestinationError('refused', `${quote(push.name)} is a replica; ${fix}`, { code: 'replica', fix })
}

/**
 * Says whose it is before anything else changes, and looks whether that still holds: of two that adopt at the same time one
 * gives way.
 */
async function claim(there: Described, writing: Writing): Promise<void> {
  const { line, document, push, turn } = writing
  await setTags(there, tagsOf(document.tags, push, noVersion), writing)
  const after = await describe(line, push.name, turn)
  const now = after && held(after)
  if (ownershipOf(now?.stamp, push.stamp.owner) === 'ours') return
  const message = `${quote(push.name)} was adopted by somebody else at the same time`
  throw new DestinationError('conflict', message, { code: 'owned_by_other' })
}

async function put(there: Described, writing: Writing): Promise<string> {
  const { line, push } = writing
  const version = push.token(versionWith(stagesOf(there), currentStage) ?? '')
  const command = new PutSecretValueCommand({
    SecretId: there.ARN ?? push.name,
    ClientRequestToken: version,
    ...payloadOf(push.value),
    VersionStages: [currentStage, writtenStage],
  })
  await line.ask('write', command, writing)
  return version
}

/** Tags of others stay. */
async function mark(there: Described, version: string | undefined, writing: Writing): Promise<boolean> {
  const wanted = tagsOf(writing.document.tags, writing.push, version)
  const before = readTags(there)
  if (Object.entries(wanted).every(([key, value]) => before[key] === value)) return false
  await setTags(there, wanted, writing)
  return true
}

async function setTags({ ARN: arn, Name: name }: Described, tags: Tags, { line, turn }: Writing): Promise<void> {
  const command = new TagResourceCommand({ SecretId: arn ?? name, Tags: listOf(tags) })
  await line.ask('write', command, { turn })
}

/** Key and replicas; before the value, so that the value is under the key. */
async function changeSettings(there: Described, { line, document, turn }: Writing): Promise<boolean> {
  const { kms_key: key } = document
  const isOther = key !== undefined && !isSameKey(there.KmsKeyId, key)
  if (isOther) {
    const command = new UpdateSecretCommand({ SecretId: there.ARN, KmsKeyId: key })
    await line.ask('write', command, { turn })
  }
  const missing = replicasOf(document, regionsOf(there))
  if (missing.length > 0) {
    const command = new ReplicateSecretToRegionsCommand({ SecretId: there.ARN, AddReplicaRegions: missing })
    await line.ask('write', command, { turn })
  }
  return isOther || missing.length > 0
}

/** AWS says it as it was set: by id, alias or ARN. */
function isSameKey(there: string | undefined, wanted: string): boolean {
  return there === wanted || there?.endsWith(`:key/${wanted}`) === true || there?.endsWith(`:${wanted}`) === true
}

function regionsOf({ ReplicationStatus: replicas = [] }: Described): readonly string[] {
  return replicas.flatMap(({ Region }) => Region ?? [])
}

/** A secret that has replicas can not be deleted. */
async function removeReplicas(there: Described, line: AwsSecretsLine, turn: DestinationTurn): Promise<void> {
  const regions = regionsOf(there)
  if (regions.length === 0) return
  const command = new RemoveRegionsFromReplicationCommand({ SecretId: there.ARN, RemoveReplicaRegions: [...regions] })
  await line.ask('write', command, { turn })
}
