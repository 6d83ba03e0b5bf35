/**
 * What Key Vault tells of the versions of a secret without their values → whose it is and whether it holds what we wrote.
 *
 * Tags are of a version, so the stamp is where the value is, and an edit by hand, which brings none, has dropped it. Which
 * version is current is not told, and times of versions are in seconds; but versions never go one by one, so the stamp says
 * how many there are with its own: while that is their number, nobody wrote since.
 *
 * @module
 */
import { isStampTag, type OwnerStamp, parseStamp } from '../../core/owner-stamp.ts'
import type { HeldSecret } from '../../core/secret-destination.ts'
import { isJsonObject } from '../../protocol/json.ts'
import { textOf } from '../exchangers/cloud-refusal.ts'
import type { Members } from './key-vault-line.ts'
import type { Tags } from './push-check.ts'

export interface VaultVersion {
  readonly name: string
  /** Empty in a listing of secrets. */
  readonly version: string
  readonly id: string
  readonly tags: Tags
  readonly stamp: OwnerStamp | undefined
  readonly contentType: string | undefined
  readonly enabled: boolean
  /** Unix time. */
  readonly created: number
}

/** Undefined for what is no secret of Key Vault. */
export function readVersion(item: unknown): VaultVersion | undefined {
  if (!isJsonObject(item)) return undefined
  const id = textOf(item['id']) ?? ''
  const [, name, version = ''] = /\/secrets\/([^/]+)(?:\/([^/]+))?$/.exec(id) ?? []
  if (name === undefined) return undefined
  const tags = readTags(item['tags'])
  const attributes = isJsonObject(item['attributes']) ? item['attributes'] : {}
  return {
    name,
    version,
    id,
    tags,
    stamp: parseStamp(tags),
    contentType: textOf(item['contentType']),
    enabled: attributes['enabled'] !== false,
    created: Number(attributes['created'] ?? 0),
  }
}

function readTags(value: unknown): Tags {
  if (!isJsonObject(value)) return {}
  return Object.fromEntries(Object.entries(value).map(([tag, text]) => [tag, String(text)]))
}

/** As a listing of secrets shows it: with the tags of the current version. */
export function readListed({ name, stamp, enabled }: VaultVersion): HeldSecret {
  if (stamp === undefined) return { name, state: 'whole' }
  return { name, stamp, state: enabled ? 'whole' : 'edited' }
}

/** A secret by all of its versions. */
export interface VaultSecret {
  readonly held: HeldSecret
  readonly current: VaultVersion
  /** How many versions it has. */
  readonly count: number
}

/** Undefined where there is none. */
export function readSecret(versions: readonly VaultVersion[]): VaultSecret | undefined {
  const count = versions.length
  const [newest, ...earlier] = versions.toSorted((a, b) => b.created - a.created || countOf(b) - countOf(a))
  if (newest === undefined) return undefined
  const ours = [newest, ...earlier].find((version) => version.stamp !== undefined)
  if (ours?.stamp === undefined) return { held: { name: newest.name, state: 'whole' }, current: newest, count }
  const isLast = countOf(ours) === count
  const state = isLast && ours.enabled ? 'whole' : 'edited'
  return { held: { name: ours.name, stamp: ours.stamp, state }, current: isLast ? ours : newest, count }
}

function countOf({ stamp }: VaultVersion): number {
  return Number(/^\d{1,15}$/.exec(stamp?.version ?? '')?.[0] ?? 0)
}

/** Tags that are not the stamp's: every version has to carry them on. */
export function carriedTags({ tags }: VaultVersion): Tags {
  return Object.fromEntries(Object.entries(tags).filter(([tag]) => !isStampTag(tag)))
}

export function idOf(members: Members): string {
  return textOf(members['id']) ?? ''
}
