/**
 * What a secret of a source comes to at destinations: one value for its path, or one for each of its keys.
 *
 * @module
 */
import type { SyncDocument } from './config-syncs.ts'
import { dotenvLine } from './dotenv.ts'
import type { SecretValue } from './secret-destination.ts'
import type { SecretContent } from './secret-source.ts'

export interface SecretPart {
  /** Where the secret is one of several of its path. */
  readonly key?: string
  readonly value: SecretValue
}

/** Content that can not stand in the form that the sync has. The message names keys and no value. */
export class FormError extends Error {
  override readonly name = 'FormError'
}

type Form = Pick<SyncDocument, 'granularity' | 'format' | 'field'>
type Fields = Readonly<Record<string, unknown>>

/** In the order of the keys, and the same text for equal content. @throws {FormError} */
export function formSecret(content: SecretContent, { granularity, format, field }: Form): readonly SecretPart[] {
  if (content.kind === 'raw') {
    if (granularity === 'path' && (format ?? 'raw') === 'raw' && field === undefined)
      return [{ value: textOrBytes(content.bytes) }]
    throw new FormError('it is one value without keys: only granularity: path with format: raw and no field takes it')
  }
  const { fields } = content
  if (granularity === 'key') return sortedKeys(fields).map((key) => ({ key, value: asText(fields[key]) }))
  if (format === 'raw') return [{ value: asText(chooseField(fields, field)) }]
  if (format === 'dotenv') return [{ value: formatDotenv(fields) }]
  return [{ value: JSON.stringify(canonical(fields)) }]
}

function sortedKeys(fields: Fields): readonly string[] {
  return Object.keys(fields).sort()
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(canonical(value))
}

/** Members by name, so that a source which lists them otherwise next time has the same text. */
function canonical(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(canonical)
  const fields = value as Fields
  const members = sortedKeys(fields).map((key) => [key, canonical(fields[key])] as const)
  return Object.fromEntries(members)
}

function chooseField(fields: Fields, field: string | undefined): unknown {
  const keys = Object.keys(fields)
  const key = field ?? keys[0]
  if (key === undefined || !Object.hasOwn(fields, key)) throw new FormError(`it has no key ${field ?? 'at all'}`)
  if (field === undefined && keys.length > 1) throw new FormError('it has more than one key: say which with field')
  return fields[key]
}

function formatDotenv(fields: Fields): string {
  return sortedKeys(fields)
    .map((key) => {
      const line = dotenvLine(key, asText(fields[key]))
      if (line === undefined)
        throw new FormError(`key ${JSON.stringify(key)}: dotenv has no form for it that all readers read alike`)
      return `${line}\n`
    })
    .join('')
}

/** Bytes that are text are one value with the text. */
function textOrBytes(bytes: Uint8Array): SecretValue {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return bytes
  }
}
