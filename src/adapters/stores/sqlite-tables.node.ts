/**
 * What the parts of an SQLite store share: the open file, columns of rows, errors.
 *
 * @module
 */
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { StoreError } from '../../core/store.ts'
import { describe, type SqliteFile } from './sqlite-file.node.ts'

export interface Tables {
  readonly file: SqliteFile
  readonly db: DatabaseSync
  /** Part of every key. */
  readonly trustDomain: string
}

export type Row = Record<string, SQLOutputValue>

export const number = (row: Row, column: string) => Number(row[column])
export const text = (row: Row, column: string) => String(row[column])
export const bytes = (row: Row, column: string) => row[column] as Uint8Array

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
export function pagedOperation<Arguments extends readonly unknown[], Result>(work: (...given: Arguments) => Result) {
  const run = operation(work)
  return async (...given: Arguments): Promise<Result> => {
    await new Promise((resolve) => setImmediate(resolve))
    return run(...given)
  }
}

const constraintError = 19

export function storeError(cause: unknown): unknown {
  if (cause instanceof StoreError) return cause
  const { errcode } = cause as { readonly errcode?: number }
  if (((errcode ?? 0) & 0xff) === constraintError)
    return new StoreError('conflict', 'the store has an entry of that key', { cause })
  return new StoreError('unavailable', `the database can not be used: ${describe(cause)}`, { cause })
}
