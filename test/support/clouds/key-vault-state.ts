/**
 * What a vault holds.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'

export interface KeyVaultVersion {
  readonly id: string
  readonly value: string
  readonly createdAt: Date
  contentType?: string
  tags: Readonly<Record<string, string>>
  enabled: boolean
  updatedAt: Date
}

export interface KeyVaultSecret {
  /** As it was first written; names are equal whatever their case. */
  readonly name: string
  /** Oldest first. */
  readonly versions: KeyVaultVersion[]
  deleted?: { readonly at: Date; readonly purgeAt: Date }
  /** Until then it is being deleted, or recovered. */
  settledAt: Date
}

/** May be changed at any time, as by somebody else who may write to the vault. */
export interface KeyVaultState {
  /** By name in lower case; deleted ones too. */
  readonly secrets: Map<string, KeyVaultSecret>
  /** Data actions, by the client id of an application. */
  readonly grants: Map<string, ReadonlySet<string>>
  /** How long deleting and recovering take; 0 by default. */
  settleSeconds: number
  purgeProtection: boolean
}

export const retentionDays = 90

export function findKeyVaultSecret(state: KeyVaultState, name: string, now: Date): KeyVaultSecret | undefined {
  const key = name.toLowerCase()
  const purgeAt = state.secrets.get(key)?.deleted?.purgeAt
  if (purgeAt !== undefined && purgeAt <= now) state.secrets.delete(key)
  return state.secrets.get(key)
}

/** Without any check. */
export function setKeyVaultSecret(
  state: KeyVaultState,
  name: string,
  now: Date,
  given: Pick<KeyVaultVersion, 'value'> & Partial<KeyVaultVersion>,
): KeyVaultVersion {
  const secret = findKeyVaultSecret(state, name, now) ?? { name, versions: [], settledAt: now }
  state.secrets.set(name.toLowerCase(), secret)
  const id = randomBytes(16).toString('hex')
  const version = { id, createdAt: now, updatedAt: now, tags: {}, enabled: true, ...given }
  secret.versions.push(version)
  return version
}

export function deleteKeyVaultSecret(state: KeyVaultState, secret: KeyVaultSecret, now: Date): void {
  secret.deleted = { at: now, purgeAt: new Date(now.getTime() + retentionDays * 86_400_000) }
  secret.settledAt = new Date(now.getTime() + state.settleSeconds * 1000)
}
