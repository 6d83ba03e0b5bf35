/**
 * What an operator is about to do, so that a refusal of it is put on record as its success would be.
 *
 * @module
 */
import type { Operator } from '../core/operator.ts'
import type { Refusal } from '../core/refusal.ts'
import { refusalOf } from './problem.ts'

export interface AdminAct {
  /** As its record names it, such as `authority.taint`. */
  readonly operation: string
  /** Nothing that could be a token which somebody took for an id: see {@link shortId}. */
  readonly details?: Readonly<Record<string, string>>
}

/** Longer than any id of ours, shorter than any token. */
const maxIdLength = 48

/** `{ id }` where it may be one. */
export function shortId(id: string): { readonly id?: string } {
  return id.length <= maxIdLength ? { id } : {}
}

/** These say that no record can be written. */
const unwritable = new Set(['internal', 'store_unavailable', 'overloaded'])

/** Keeps the record of a refused act. The refusal to answer: another one where the record could not be kept. */
export async function recordRefusedAct(
  operator: Pick<Operator, 'recordRefusal'>,
  requestId: string,
  act: AdminAct,
  refusal: Refusal,
): Promise<Refusal> {
  if (unwritable.has(refusal.code)) return refusal
  try {
    await operator.recordRefusal(requestId, act.operation, refusal, act.details)
    return refusal
  } catch (error) {
    return refusalOf(error)
  }
}
