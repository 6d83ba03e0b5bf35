/**
 * What a cloud says instead of a credential → an error for operators: bounded, in one line, without anything secret, and
 * with what most likely helps.
 *
 * @module
 */
import { CloudError, type CloudErrorKind } from '../../core/cloud.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { isJsonObject, parseStrictJson } from '../../protocol/json.ts'
import type { HttpAnswer } from '../http-client.ts'

/** What to do about a code of a cloud. The first that fits counts. */
export interface Fix {
  readonly code: string
  /** For codes that mean several things, which only their text tells apart. */
  readonly says?: RegExp
  readonly fix: string
  /** Default: what the status says. */
  readonly kind?: CloudErrorKind
}

export interface CloudNo {
  /** As the cloud writes it. */
  readonly code: string
  readonly text: string
  readonly requestId?: string | undefined
}

export interface NoContext {
  readonly answer: HttpAnswer
  readonly fixes: readonly Fix[]
  /** What clouds may repeat in their texts and nobody is to see. */
  readonly secrets: readonly string[]
  readonly now: Date
}

/** A no of the cloud, in its words. */
export function buildCloudError({ code, text, requestId }: CloudNo, context: NoContext): CloudError {
  const { answer, fixes, secrets, now } = context
  const found = fixes.find((fix) => fix.code === code && (fix.says?.test(text) ?? true))
  const kind = kindOf(answer.status, found)
  const said = cleanText(text, secrets)
  const message = [said === '' ? 'it gives no reason' : `it says '${said}'`, found?.fix].filter(Boolean).join('; ')
  const retryAfterSeconds = kind === 'refused' ? undefined : readRetryAfter(answer.headers.get('retry-after'), now)
  const id = cleanId(requestId)
  return new CloudError(kind, message, {
    code: cleanCode(code, secrets),
    status: answer.status,
    ...(found && { fix: found.fix }),
    ...(id !== undefined && { requestId: id }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  })
}

function kindOf(status: number, found: Fix | undefined): CloudErrorKind {
  if (status === 429) return 'throttled'
  if (found?.kind) return found.kind
  return status >= 500 || status === 408 ? 'unreachable' : 'refused'
}

export interface MalformedContext {
  readonly answer: HttpAnswer
  readonly requestId: string | undefined
  readonly now: Date
}

/** An answer that no cloud gives: of a proxy between, or of something else altogether. */
export function buildMalformedError(what: string, { answer, requestId, now }: MalformedContext): CloudError {
  const { status, headers } = answer
  const id = cleanId(requestId)
  const retryAfterSeconds = readRetryAfter(headers.get('retry-after'), now)
  return new CloudError(status === 429 ? 'throttled' : 'unreachable', what, {
    code: status >= 200 && status < 300 ? 'malformed' : `http_${status}`,
    status,
    ...(id !== undefined && { requestId: id }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  })
}

/** The members of a JSON object; undefined where the text is none. */
export function readMembers({ text }: HttpAnswer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = parseStrictJson(text)
    return isJsonObject(value) ? value : undefined
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

/** A text, or nothing: undefined where it is absent, empty or something else. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** A part of a credential: as a header, a file and a terminal can hold it; undefined for anything else. */
export function secretOf(value: unknown): string | undefined {
  const text = textOf(value)
  return text !== undefined && /^[\x21-\x7e]+$/.test(text) ? text : undefined
}

const maxText = 300
const removed = '[removed]'
const control = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\s]+/gu
/** Every JOSE header begins so. */
const jwtLike = /eyJ[\w-]+(?:(?:\.|%2E)[\w-]*)*/gi
const longRun = /[\w-]{64,}/g
/** Long enough to tell something, too long to be a word that a token holds by chance. */
const fragment = /[\w.-]{12,}/g

/** @param secrets Nothing of them is left, nor of anything that looks like a token. */
export function cleanText(text: string, secrets: readonly string[]): string {
  const line = text
    .slice(0, 8 * 1024)
    .replace(control, ' ')
    .trim()
    .replace(jwtLike, removed)
    .replace(longRun, removed)
    .replace(fragment, (run) => (secrets.some((secret) => secret.includes(run)) ? removed : run))
  return line.length > maxText ? `${line.slice(0, maxText - 1).replace(/[\uD800-\uDBFF]$/, '')}…` : line
}

function cleanCode(code: string, secrets: readonly string[]): string {
  return /^[\w.-]{1,64}$/.test(code) && cleanText(code, secrets) === code ? code : 'unknown'
}

/** How a cloud calls a request; undefined for what no cloud would, as records keep it. */
export function cleanId(id: string | undefined): string | undefined {
  return id !== undefined && /^[\w.:/+=-]{1,128}$/.test(id) ? id : undefined
}

const maxRetryAfterSeconds = 3600

/** RFC 9110 §10.2.3: seconds or a date. */
export function readRetryAfter(value: string | null, now: Date): number | undefined {
  if (value === null) return undefined
  const isDate = /^[A-Z][a-z]{2}/.test(value)
  const until = isDate ? (Date.parse(value) - now.getTime()) / 1000 : Number.NaN
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : until
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(1, Math.ceil(seconds)), maxRetryAfterSeconds)
}

/** When `expires_in` of a token answer is over; undefined where it says no time to come. */
export function readExpiresIn(value: unknown, begun: Date): Date | undefined {
  return typeof value === 'number' && value > 0 && value < 1e8 ? new Date(begun.getTime() + value * 1000) : undefined
}
