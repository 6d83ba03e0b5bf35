/**
 * An SQLite database as a runtime gives it: statements that run to their end before they answer.
 *
 * @module
 */

export type SqlValue = string | number | null | Uint8Array

/** Columns by name. Bytes are what the runtime has for them: see `bytes` of `sqlite-tables.ts`. */
export type Row = Readonly<Record<string, unknown>>

export interface SqlStatement {
  readonly run: (...values: readonly SqlValue[]) => void
  /** Runs it, and answers how many rows it changed. */
  readonly change: (...values: readonly SqlValue[]) => number
  readonly get: (...values: readonly SqlValue[]) => Row | undefined
  readonly all: (...values: readonly SqlValue[]) => readonly Row[]
}

export interface SqlDatabase {
  readonly prepare: (sql: string) => SqlStatement
  /** Runs `work` in one durable transaction; what it throws undoes all of it. */
  readonly transact: <T>(work: () => T) => T
  /** Lets others go first, before what may take milliseconds. */
  readonly giveWay: () => Promise<void>
  /** Idempotent; every statement throws after it. */
  readonly close: () => void
}

/** What SQLite says of an error: never a value of a row. */
export function describe(error: unknown): string {
  const { errstr, message } = error as { readonly errstr?: string; readonly message?: string }
  return errstr ?? message ?? 'unknown error'
}
