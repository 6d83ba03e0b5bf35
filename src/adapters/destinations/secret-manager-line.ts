/**
 * Google Secret Manager's REST wire over our own connection: its client brings gRPC, some 40 packages, and loads metadata
 * servers and credentials that are none of a sync's. It is what the double of the tests is checked with.
 *
 * @see {@link https://cloud.google.com/secret-manager/docs/reference/rest REST API}
 * @module
 */
import type { DestinationTurn } from '../../core/secret-destination.ts'
import { isJsonObject } from '../../protocol/json.ts'
import { cleanId, readMembers, textOf } from '../exchangers/cloud-refusal.ts'
import type { HttpAnswer } from '../http-client.ts'
import { askWithBearer, type BearerRequest, type StoreLine } from './store-line.ts'
import { buildStoreError, buildUnreadError, type StoreFix } from './store-refusal.ts'

export type Members = Readonly<Record<string, unknown>>

export interface GoogleRequest extends Omit<BearerRequest, 'url'> {
  /** Such as `projects/p/secrets/s:addVersion`; names in it are encoded. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
}

export interface GoogleLine {
  /** @throws {DestinationError} */
  readonly ask: (request: GoogleRequest, turn: DestinationTurn) => Promise<Members>
}

export function createGoogleLine(url: string, line: StoreLine, now: () => Date): GoogleLine {
  const base = url.replace(/\/$/, '')

  async function ask({ path, query, ...wanted }: GoogleRequest, turn: DestinationTurn): Promise<Members> {
    const url = `${base}/v1/${path}${query === undefined ? '' : `?${new URLSearchParams(query)}`}`
    const { answer, secrets } = await askWithBearer(line, { ...wanted, url }, turn)
    return readAnswer(answer, secrets, now())
  }

  return { ask }
}

const notOfGoogle = 'it answered something that is no answer of Secret Manager'

function readAnswer(answer: HttpAnswer, secrets: readonly string[], now: Date): Members {
  const members = readMembers(answer)
  if (answer.status < 400) {
    if (members === undefined) throw buildUnreadError(notOfGoogle, answer, now)
    return members
  }
  const error = members?.['error']
  const code = isJsonObject(error) ? textOf(error['status']) : undefined
  if (!isJsonObject(error) || code === undefined) throw buildUnreadError(notOfGoogle, answer, now)
  const text = textOf(error['message']) ?? ''
  const requestId = cleanId(answer.headers.get('x-goog-request-id') ?? undefined)
  throw buildStoreError({ code, text, requestId }, { answer, fixes, secrets, now })
}

const raced = 'somebody else wrote at the same time'

const fixes: readonly StoreFix[] = [
  {
    code: 'PERMISSION_DENIED',
    says: /Permission '([\w.]+)' denied/,
    kind: 'forbidden',
    fix: "a role with $1 on the project or the secret has to be granted to the target's principal",
  },
  {
    code: 'PERMISSION_DENIED',
    says: /has not been used|it is disabled/i,
    kind: 'forbidden',
    fix: 'enable the Secret Manager API in the project',
  },
  {
    code: 'PERMISSION_DENIED',
    says: /authentication scopes/i,
    kind: 'forbidden',
    fix: "the target's scopes need https://www.googleapis.com/auth/cloud-platform",
  },
  { code: 'PERMISSION_DENIED', kind: 'forbidden', fix: "the target's principal may not" },
  { code: 'UNAUTHENTICATED', kind: 'forbidden', fix: 'the token of the target is not taken' },
  { code: 'ALREADY_EXISTS', kind: 'conflict', fix: raced },
  { code: 'FAILED_PRECONDITION', says: /etag/i, kind: 'conflict', fix: raced },
  { code: 'ABORTED', kind: 'conflict', fix: raced },
  {
    code: 'NOT_FOUND',
    kind: 'conflict',
    fix: 'it was removed at the same time, or there is no such project or location',
  },
  {
    code: 'RESOURCE_EXHAUSTED',
    kind: 'throttled',
    fix: 'Google limits the requests of a project: set `writes_per_second` lower',
  },
  { code: 'UNAVAILABLE', kind: 'unreachable', fix: 'Google calls this a passing failure' },
  { code: 'INTERNAL', kind: 'unreachable', fix: 'Google calls this a passing failure' },
  {
    code: 'INVALID_ARGUMENT',
    says: /size of annotation/i,
    kind: 'refused',
    fix: 'remove annotations, there or of the destination and the sync',
  },
]
