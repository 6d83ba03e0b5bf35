/**
 * What a store says instead of doing what it was asked → an error for operators: bounded, in one line, without anything
 * secret, and with what most likely helps.
 *
 * @module
 */
import type { CloudError } from '../../core/cloud.ts'
import { DestinationError, type DestinationErrorKind } from '../../core/secret-destination.ts'
import { buildMalformedError, cleanId, cleanText, readRetryAfter } from '../exchangers/cloud-refusal.ts'
import type { HttpAnswer } from '../http-client.ts'

/** What a code of a store means, and what to do about it. The first that fits counts. */
export interface StoreFix {
  readonly code: string
  /** For codes that mean several things, which only their text tells apart. */
  readonly says?: RegExp
  /** Default: what the status says. */
  readonly kind?: DestinationErrorKind
  /** `$1` is the first group of `says`. */
  readonly fix: string
}

export interface StoreNo {
  /** As the cloud writes it. */
  readonly code: string
  readonly text: string
  readonly requestId?: string | undefined
}

export interface StoreNoContext {
  readonly answer: HttpAnswer
  readonly fixes: readonly StoreFix[]
  /** The value that was written and the credential, which nobody is to see. */
  readonly secrets: readonly string[]
  readonly now: Date
}

export function buildStoreError({ code, text, requestId }: StoreNo, context: StoreNoContext): DestinationError {
  const { answer, fixes, secrets, now } = context
  const found = fixes.find((one) => one.code === code && (one.says?.test(text) ?? true))
  const kind = kindOf(answer.status, found)
  const fix = found && fixFor(found, text)
  const said = repeatsSecret(text, secrets) ? '' : cleanText(text, secrets)
  const message = [said === '' ? `it answers ${cleanCode(code)}` : `it says '${said}'`, fix].filter(Boolean).join('; ')
  const retryAfterSeconds = readRetryAfter(answer.headers.get('retry-after'), now)
  const id = cleanId(requestId)
  return new DestinationError(kind, message, {
    code: cleanCode(code),
    status: answer.status,
    ...(fix !== undefined && { fix }),
    ...(id !== undefined && { requestId: id }),
    ...(retryAfterSeconds !== undefined && mayRepeat.has(kind) && { retryAfterSeconds }),
  })
}

const mayRepeat: ReadonlySet<DestinationErrorKind> = new Set(['unreachable', 'throttled', 'busy'])

const byStatus: Readonly<Record<number, DestinationErrorKind>> = {
  401: 'forbidden',
  403: 'forbidden',
  408: 'unreachable',
  409: 'conflict',
  413: 'too_large',
  429: 'throttled',
}

function kindOf(status: number, found: StoreFix | undefined): DestinationErrorKind {
  if (status === 429) return 'throttled'
  return found?.kind ?? byStatus[status] ?? (status >= 500 ? 'unreachable' : 'refused')
}

function fixFor({ fix, says }: StoreFix, text: string): string {
  const [, group = ''] = says?.exec(text) ?? []
  return fix.replaceAll('$1', /^[\w:./ '-]{1,100}$/.test(group) ? group : 'what it names')
}

function cleanCode(code: string): string {
  return /^[\w.-]{1,64}$/.test(code) ? code : 'unknown'
}

/** What is a word of a value by chance is left, as much of it is not. */
const tellingLength = 8

/** Whether a part of a value stands in it that is no word by chance: then nothing of the text is told. */
function repeatsSecret(text: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) => {
    if (secret.length < tellingLength) return secret.length > 2 && text.includes(secret)
    const ends = Math.min(text.length, 8 * 1024) - tellingLength
    for (let at = 0; at <= ends; at++) if (secret.includes(text.slice(at, at + tellingLength))) return true
    return false
  })
}

/** An answer that no store gives: of a proxy between, or of something else altogether. */
export function buildUnreadError(what: string, answer: HttpAnswer, now: Date): DestinationError {
  const { kind, message, code, status, retryAfterSeconds }: CloudError = buildMalformedError(what, {
    answer,
    requestId: undefined,
    now,
  })
  return new DestinationError(kind === 'throttled' ? kind : 'unreachable', message, {
    code,
    ...(status !== undefined && { status }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  })
}

/** An answer in JSON that lacks what it has to have. */
export function buildMalformed(message: string): DestinationError {
  return new DestinationError('unreachable', message, { code: 'malformed' })
}

/** Whether it is the no of that code. */
export function isNo(error: unknown, code: string): boolean {
  return error instanceof DestinationError && error.code === code
}
