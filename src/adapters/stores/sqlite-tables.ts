/**
 * What the parts of an SQLite store share: the database, columns of rows, errors.
 *
 * @module
 */
import { StoreError } from '../../core/store.ts'
import { describe, type Row, type SqlDatabase } from './sqlite-database.ts'

export interface Tables {
  readonly db: SqlDatabase
  /** Part of every key. */
  readonly trustDomain: string
}

export const number = (row: Row, column: string) => Number(row[column])
export const text = (row: Row, column: string) => String(row[column])
/** Node has them as they are, a Durable Object as a buffer, D1 as a list of numbers. */
export const bytes = (row: Row, column: string) => {
  const value = row[column] as Uint8Array | ArrayBuffer | readonly number[]
  return value instanceof Uint8Array ? value : new Uint8Array(value)
}

/** What a method of the port does, with errors of SQLite told as those of a store. */
export function operation<Arguments extends readonly unknown[], Result>(work: (...given: Arguments) => Result) {
  return async (...given: Arguments): Promise<Result> => {
    try {
      return work(...given)
    } catch (error) {
      throw storeError(error)
    }
  }
}

/** What may take milliseconds: other requests go first. */
export function pagedOperation<Arguments extends readonly unknown[], Result>(
  { db }: Tables,
  work: (...given: Arguments) => Result,
) {
  const run = operation(work)
  return async (...given: Arguments): Promise<Result> => {
    await db.giveWay()
    return run(...given)
  }
}

const constraintError = 19

export function storeError(cause: unknown): unknown {
  if (cause instanceof StoreError) return cause
  if (isConstraintError(cause)) return new StoreError('conflict', 'the store has an entry of that key', { cause })
  return new StoreError('unavailable', `the database can not be used: ${describe(cause)}`, { cause })
}

/** Node has SQLite's number in the error, workerd its name in the message. */
export function isConstraintError(error: unknown): boolean {
  const { errcode, message } = error as { readonly errcode?: number; readonly message?: string }
  return ((errcode ?? 0) & 0xff) === constraintError || message?.includes('SQLITE_CONSTRAINT') === true
}
