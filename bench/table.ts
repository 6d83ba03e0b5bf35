/**
 * Results as a table for people.
 *
 * @module
 */
import { fails, type Judgement, type RowResult } from './figure.ts'

const header = ['figure', 'median', 'min', 'max', 'required', 'aim', 'unit', ''] as const

export function formatTable(results: readonly RowResult[], judgement: Judgement): string {
  const lines = [header, ...results.map((result) => cellsOf(result, judgement))]
  const widths = header.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)))
  return lines.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}

function cellsOf(result: RowResult, judgement: Judgement): readonly string[] {
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
    verdict(result, judgement),
  ]
}

function verdict(result: RowResult, judgement: Judgement): string {
  if (fails(result, judgement)) return 'FAILS'
  const { kind, required, aim } = result.row.bound
  const reaches = (value: number) => (kind === 'at least' ? result.median >= value : result.median <= value)
  if (!reaches(required)) return judgement.lenient ? 'short of it' : 'short of it, within noise'
  return aim !== undefined && reaches(aim) ? 'reaches the aim' : 'holds'
}

export function formatNumber(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3)
}
