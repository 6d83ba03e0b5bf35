/**
 * A secret of Google Secret Manager and its versions, without their values → whose it is and whether it holds what we
 * wrote.
 *
 * Secret and value are two resources, and no listing of secrets tells of versions. So the stamp, in annotations of the
 * secret, says which version it speaks of, and before a version is added that it is to come: `6>7` while version 7 is on
 * its way after 6, `7` once it is there. Between the two nothing counts as synced, and an attempt that comes later knows
 * version 7 for its own. Numbers of versions are given in order and never twice.
 *
 * @module
 */
import { type OwnerStamp, parseStamp } from '../../core/owner-stamp.ts'
import type { HeldSecret } from '../../core/secret-destination.ts'
import { isJsonObject } from '../../protocol/json.ts'
import { textOf } from '../exchangers/cloud-refusal.ts'
import type { Tags } from './push-check.ts'
import type { Members } from './secret-manager-line.ts'

export interface GoogleSecret {
  readonly name: string
  /** As Google calls it, with the number of the project. */
  readonly resource: string
  readonly stamp: OwnerStamp | undefined
  readonly labels: Tags
  readonly annotations: Tags
  readonly etag: string
  /** Of a regional one. */
  readonly kmsKey: string | undefined
}

/** Undefined for what is no secret. */
export function readSecret(item: unknown): GoogleSecret | undefined {
  if (!isJsonObject(item)) return undefined
  const resource = textOf(item['name']) ?? ''
  const [, name] = /\/secrets\/([^/]+)$/.exec(resource) ?? []
  if (name === undefined) return undefined
  const annotations = readTexts(item['annotations'])
  const encryption = item['customerManagedEncryption']
  return {
    name,
    resource,
    stamp: parseStamp(annotations),
    labels: readTexts(item['labels']),
    annotations,
    etag: textOf(item['etag']) ?? '',
    kmsKey: isJsonObject(encryption) ? textOf(encryption['kmsKeyName']) : undefined,
  }
}

function readTexts(value: unknown): Tags {
  if (!isJsonObject(value)) return {}
  return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, String(text)]))
}

export interface GoogleVersion {
  readonly number: number
  readonly isEnabled: boolean
}

export function readVersions({ versions }: Members): readonly GoogleVersion[] {
  const listed: readonly unknown[] = Array.isArray(versions) ? versions : []
  return listed.flatMap((item) => (isJsonObject(item) ? (readVersion(item) ?? []) : []))
}

export function readVersion(item: Members): GoogleVersion | undefined {
  const [, number] = /\/versions\/(\d{1,15})$/.exec(textOf(item['name']) ?? '') ?? []
  return number === undefined ? undefined : { number: Number(number), isEnabled: item['state'] === 'ENABLED' }
}

/** What the stamp says of versions. */
export interface StampedVersion {
  /** That is there, or is on its way. */
  readonly number: number
  readonly isComing: boolean
  /** That was ours before; 0 for none. */
  readonly before: number
}

export function readStamped(stamp: OwnerStamp | undefined): StampedVersion | undefined {
  const [, before = '', coming, there] = /^(?:(\d{0,15})>(\d{1,15})|(\d{1,15}))$/.exec(stamp?.version ?? '') ?? []
  if (coming !== undefined) return { number: Number(coming), isComing: true, before: Number(before) }
  return there === undefined ? undefined : { number: Number(there), isComing: false, before: Number(there) }
}

export function formatComing(before: number, number: number): string {
  return `${before === 0 ? '' : before}>${number}`
}

/** As a listing shows it, which tells of no versions. */
export function readListed({ name, stamp }: GoogleSecret): HeldSecret {
  if (stamp === undefined) return { name, state: 'whole' }
  const stamped = readStamped(stamp)
  return { name, stamp, state: stamped === undefined ? 'edited' : stamped.isComing ? 'empty' : 'whole' }
}

/** With its versions at hand. */
export function readHeld(secret: GoogleSecret, latest: GoogleVersion | undefined): HeldSecret {
  const { name, stamp } = secret
  if (stamp === undefined) return { name, state: latest === undefined ? 'empty' : 'whole' }
  const listed = readListed(secret)
  if (latest === undefined) return { name, stamp, state: 'empty' }
  if (listed.state !== 'whole') return listed
  const isOurs = readStamped(stamp)?.number === latest.number && latest.isEnabled
  return { name, stamp, state: isOurs ? 'whole' : 'edited' }
}
