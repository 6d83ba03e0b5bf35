/**
 * What is known of a write before the cloud is asked, and whose the secret is that it finds there.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import type { DestinationType } from '../../core/config-destinations.ts'
import { destinationRules } from '../../core/destination-rules.ts'
import { formatStamp } from '../../core/owner-stamp.ts'
import { quote } from '../../core/quote.ts'
import {
  DestinationError,
  type HeldSecret,
  ownershipOf,
  type SecretPush,
  type SecretValue,
} from '../../core/secret-destination.ts'

export type Tags = Readonly<Record<string, string>>

/** Tags of a write: those of the destination, of the sync, and the stamp's, which go before. */
export function tagsOf(ofDestination: Tags, { tags, stamp }: SecretPush, version?: string): Tags {
  return { ...ofDestination, ...tags, ...formatStamp({ ...stamp, ...(version !== undefined && { version }) }) }
}

/**
 * Nothing is sent that is never taken.
 *
 * @throws {DestinationError} `bad_name`, `too_large`, `bad_value`
 */
export function requireFitting(type: DestinationType, { name, value }: SecretPush): void {
  const rules = destinationRules[type]
  if (!rules.name.pattern.test(name)) {
    throw notTaken('bad_name', `the name ${quote(name)} is not taken there: expected ${rules.name.expected}`)
  }
  if (typeof value !== 'string' && !rules.takesBytes) {
    throw notTaken('bad_value', 'the value is no text, and nothing else is taken there')
  }
  const size = Buffer.byteLength(value)
  if (size < rules.minValueBytes) throw notTaken('bad_value', 'the value is empty, which is not taken there')
  if (size > rules.maxValueBytes) {
    throw notTaken('too_large', `the value has ${size} bytes, and ${rules.maxValueBytes} at most are taken there`)
  }
}

function notTaken(kind: 'bad_name' | 'too_large' | 'bad_value', message: string): DestinationError {
  return new DestinationError(kind, message, { code: kind })
}

/**
 * What others put there counts as well.
 *
 * @throws {DestinationError} `refused`
 */
export function requireTagsFit(type: DestinationType, name: string, tags: Tags): void {
  const count = Object.keys(tags).length
  const { maxTags } = destinationRules[type]
  if (count <= maxTags) return
  const fix = 'remove some of it there, or from `tags` of the destination and the sync'
  const message = `${quote(name)} would have ${count} tags, and ${maxTags} at most are taken there; ${fix}`
  throw new DestinationError('refused', message, { code: 'too_many_tags', fix })
}

/** @throws {DestinationError} `conflict` */
export function requireMayWrite(held: HeldSecret, { stamp, adopts }: SecretPush): void {
  const ownership = ownershipOf(held.stamp, stamp.owner)
  if (ownership === 'ours' || (ownership === 'free' && adopts)) return
  throw ownership === 'free' ? unowned(held.name, 'conflict: adopt takes it over') : foreign(held)
}

/** @throws {DestinationError} `conflict` */
export function requireMayRemove(held: HeldSecret, owner: string): void {
  const ownership = ownershipOf(held.stamp, owner)
  if (ownership === 'ours') return
  throw ownership === 'free' ? unowned(held.name, 'nothing is removed that we did not write') : foreign(held)
}

function unowned(name: string, fix: string): DestinationError {
  return new DestinationError('conflict', `${quote(name)} is there and not ours; ${fix}`, { code: 'not_owned', fix })
}

function foreign({ name, stamp }: HeldSecret): DestinationError {
  const fix = 'give one of the two another name'
  const message = `${quote(name)} is of ${quote(stamp?.owner ?? '')}; ${fix}`
  return new DestinationError('conflict', message, { code: 'owned_by_other', fix })
}

/** Spellings of a value that an answer of a cloud may repeat. */
export function spellingsOf(value: SecretValue): readonly string[] {
  const bytes = Buffer.from(value as string)
  const text = typeof value === 'string' ? [value, JSON.stringify(value).slice(1, -1)] : []
  return [...text, bytes.toString('base64')].filter((spelling) => spelling !== '')
}
