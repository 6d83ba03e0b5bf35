/**
 * Columns of rows as `pg` gives them: whole numbers of 64 bits are texts there.
 *
 * @module
 */
import type { Row } from './postgres-connections.node.ts'

export const number = (row: Row, column: string) => Number(row[column])
export const text = (row: Row, column: string) => String(row[column])
export const bytes = (row: Row, column: string) => row[column] as Uint8Array
export const date = (row: Row, column: string) => new Date(number(row, column))
