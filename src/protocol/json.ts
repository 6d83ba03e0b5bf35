/**
 * JSON in which every document has one reading.
 *
 * RFC 8259 §4 leaves open what a repeated member name means, so two parsers can read two documents out of one text; here
 * such a text is refused, as are nesting beyond a limit and what no value can hold: numbers beyond a double, strings that
 * are not Unicode, a member that would be a prototype.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8259 RFC 8259}
 * @module
 */
import { ProtocolError } from './errors.ts'

export interface StrictJsonOptions {
  /** Objects and arrays inside one another, 32 by default. */
  readonly maxDepth?: number
}

const quote = 0x22
const colon = 0x3a
const backslash = 0x5c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The value of a JSON text, in time linear in its length.
 *
 * @throws {ProtocolError} `json` for a syntax error, a repeated or `__proto__` member, too deep nesting, a number or
 * string out of range
 */
export function parseStrictJson(text: string, options: StrictJsonOptions = {}): unknown {
  const written = countWrittenMembers(text, options.maxDepth ?? 32)
  const value = parseAny(text)
  // Of members with one name, however it is escaped, only the last is left.
  if (countMembers(value) !== written) throw new ProtocolError('json', 'a member name is repeated')
  return value
}

/** As {@link parseStrictJson}, of UTF-8. A byte order mark is a syntax error. */
export function parseStrictJsonBytes(bytes: Uint8Array, options: StrictJsonOptions = {}): unknown {
  return parseStrictJson(decodeUtf8(bytes), options)
}

/** Whether `value` is an object with members: no array, no null. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The colons outside of strings: in valid JSON, one for each member. Checks the depth on the way, before any recursion. */
function countWrittenMembers(text: string, maxDepth: number): number {
  let members = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === quote) at = endOfString(text, at)
    else if (unit === colon) members++
    else if (unit === closeBrace || unit === closeBracket) depth--
    else if (unit === openBrace || unit === openBracket) {
      depth++
      if (depth > maxDepth) throw new ProtocolError('json', 'nested too deeply')
    }
  }
  return members
}

/** Where the string that opens at `start` closes; the end of the text when it does not. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end < 0 ? text.length : end
}

function isEscaped(text: string, at: number): boolean {
  let first = at
  while (text.charCodeAt(first - 1) === backslash) first--
  return (at - first) % 2 === 1
}

function parseAny(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The cause is left out: its message quotes the text, which may be a secret.
    throw new ProtocolError('json', 'not JSON')
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new ProtocolError('json', 'not UTF-8', { cause })
  }
}

function countMembers(value: unknown): number {
  if (typeof value === 'string') return checkString(value)
  if (typeof value === 'number') return checkNumber(value)
  if (typeof value !== 'object' || value === null) return 0
  if (Array.isArray(value)) return value.reduce((members: number, item) => members + countMembers(item), 0)
  return countMembersOfObject(value as Readonly<Record<string, unknown>>)
}

function countMembersOfObject(value: Readonly<Record<string, unknown>>): number {
  let members = 0
  for (const name of Object.keys(value)) {
    if (name === '__proto__') throw new ProtocolError('json', 'a member is named __proto__')
    members += 1 + checkString(name) + countMembers(value[name])
  }
  return members
}

function checkString(text: string): 0 {
  if (!text.isWellFormed()) throw new ProtocolError('json', 'a string holds half a surrogate pair')
  return 0
}

function checkNumber(value: number): 0 {
  if (!Number.isFinite(value)) throw new ProtocolError('json', 'a number is out of range')
  return 0
}
