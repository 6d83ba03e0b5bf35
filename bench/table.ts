/**
 * Results as a table for people.
 *
 * @module
 */
import { fails, type RowResult } from './figure.ts'

const header = ['figure', 'median', 'min', 'max', 'required', 'aim', 'unit', ''] as const

/** @param share As {@link fails} takes it. */
export function formatTable(results: readonly RowResult[], share: number): string {
  const lines = [header, ...results.map((result) => cellsOf(result, share))]
  const widths = header.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)))
  return lines.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}

function cellsOf(result: RowResult, share: number): readonly string[] {
  const { row, median, min, max } = result
  const { kind, required, aim } = row.bound
  return [
    row.name,
    formatNumber(median),
    formatNumber(min),
    formatNumber(max),
    `${kind} ${formatNumber(required)}`,
    aim === undefined ? '' : formatNumber(aim),
    row.unit,
    verdict(result, share),
  ]
}

function verdict(result: RowResult, share: number): string {
  if (fails(result, share)) return 'FAILS'
  const { kind, required, aim } = result.row.bound
  const reaches = (value: number) => (kind === 'at least' ? result.median >= value : result.median <= value)
  if (!reaches(required)) return 'below, within noise'
  return aim !== undefined && reaches(aim) ? 'reaches the aim' : 'holds'
}

export function formatNumber(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3)
}
