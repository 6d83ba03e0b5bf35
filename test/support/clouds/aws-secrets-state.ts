/**
 * What Secrets Manager holds in one region of one account.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { IdentityStatement } from './aws-identity-policy.ts'

export interface AwsSecretVersion {
  readonly id: string
  readonly text?: string
  /** Base64. */
  readonly binary?: string
  readonly createdAt: Date
  /** Staging labels. */
  readonly stages: Set<string>
}

export interface AwsSecret {
  readonly arn: string
  readonly name: string
  readonly tags: Map<string, string>
  /** By id, oldest first. */
  readonly versions: Map<string, AwsSecretVersion>
  readonly createdAt: Date
  /** By region. */
  readonly replicas: Map<string, { readonly kmsKeyId?: string }>
  kmsKeyId?: string
  /** Absent unless it is scheduled for deletion. */
  deletion?: { readonly deletedAt: Date; readonly goneAt: Date }
  /** Of a replica. */
  primaryRegion?: string
  /** The service that manages it. */
  owningService?: string
}

/** May be changed at any time, as by somebody else in the account. */
export interface AwsSecretsState {
  readonly account: string
  readonly region: string
  /** By name; those that are scheduled for deletion too. */
  readonly secrets: Map<string, AwsSecret>
  /** What roles may do, by ARN. */
  readonly policies: Map<string, readonly IdentityStatement[]>
  /** Ids, aliases and ARNs of keys that there are. */
  readonly kmsKeys: Set<string>
}

export const current = 'AWSCURRENT'
export const previous = 'AWSPREVIOUS'

export function makeSecretArn({ account, region }: AwsSecretsState, name: string): string {
  const suffix = randomBytes(8).toString('base64url').replaceAll(/[-_]/g, '').slice(0, 6).padEnd(6, 'x')
  return `arn:aws:secretsmanager:${region}:${account}:secret:${name}-${suffix}`
}

/** By name or ARN; gone ones are forgotten first. */
export function findSecret(state: AwsSecretsState, id: string | undefined, now: Date): AwsSecret | undefined {
  for (const [name, { deletion }] of state.secrets) if (deletion && deletion.goneAt <= now) state.secrets.delete(name)
  if (id === undefined) return undefined
  return state.secrets.get(id) ?? [...state.secrets.values()].find(({ arn }) => arn === id)
}

export function versionAt({ versions }: AwsSecret, stage: string): AwsSecretVersion | undefined {
  return [...versions.values()].find(({ stages }) => stages.has(stage))
}

/** Whoever had the label loses it; who was current becomes previous. */
export function moveStage(secret: AwsSecret, stage: string, to: AwsSecretVersion): void {
  const from = versionAt(secret, stage)
  if (from === to) return
  from?.stages.delete(stage)
  to.stages.add(stage)
  if (stage === current && from) moveStage(secret, previous, from)
  if (stage === current) to.stages.delete(previous)
}

/** Those without a label that are above the quota and a day old. */
export function dropOldVersions({ versions }: AwsSecret, now: Date): void {
  for (const { id, stages, createdAt } of [...versions.values()]) {
    const isOld = stages.size === 0 && now.getTime() - createdAt.getTime() > 86_400_000
    if (versions.size > maxVersions && isOld) versions.delete(id)
  }
}

export const maxVersions = 100

/** Sets a value as a person would in the console. */
export function editAwsSecret(state: AwsSecretsState, name: string, text: string, now: Date): void {
  const secret = state.secrets.get(name) ?? createAwsSecret(state, name, now)
  const version = { id: crypto.randomUUID(), text, createdAt: now, stages: new Set<string>() }
  secret.versions.set(version.id, version)
  moveStage(secret, current, version)
}

/** Empty, and without any check. */
export function createAwsSecret(state: AwsSecretsState, name: string, now: Date): AwsSecret {
  const secret: AwsSecret = {
    arn: makeSecretArn(state, name),
    name,
    tags: new Map(),
    versions: new Map(),
    replicas: new Map(),
    createdAt: now,
  }
  state.secrets.set(name, secret)
  return secret
}
