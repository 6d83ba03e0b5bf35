/**
 * What a command writes: text for people, JSON for programs; results on standard output, everything else on standard
 * error.
 *
 * @module
 */
import { styleText } from 'node:util'
import type { CliError } from './cli-error.ts'

export type OutputFormat = 'text' | 'json'

export interface Output {
  readonly format: OutputFormat
  /** Writes the result of the command: `value` as JSON, or `text` as it is. */
  readonly result: (value: unknown, text: string | (() => string)) => void
  /** Tells a person something beside the result; programs are not told. */
  readonly note: (text: string) => void
}

export function createOutput(format: OutputFormat): Output {
  return {
    format,
    result(value, text) {
      write(
        process.stdout,
        format === 'json' ? JSON.stringify(value, null, 2) : typeof text === 'string' ? text : text(),
      )
    },
    note(text) {
      if (format === 'text') write(process.stderr, text)
    },
  }
}

function write(stream: NodeJS.WriteStream, text: string): void {
  if (text !== '') stream.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** Colour where `stream` is a terminal and `NO_COLOR` does not forbid it. */
export function style(stream: NodeJS.WriteStream, format: Parameters<typeof styleText>[0], text: string): string {
  return styleText(format, text, { stream })
}

/** One to three lines: what was wrong, and what to do next. */
export function writeError(format: OutputFormat, error: CliError): void {
  if (format === 'json') {
    const { code, message, hint, requestId, diagnostics } = error
    write(process.stderr, JSON.stringify({ error: { code, message, hint, request_id: requestId, diagnostics } }))
    return
  }
  const lines = [
    ...(error.details === undefined ? [] : [error.details]),
    `${style(process.stderr, 'red', 'error:')} ${error.message}`,
    ...(error.requestId === undefined ? [] : [`request id: ${error.requestId}`]),
    ...(error.hint === undefined ? [] : [error.hint]),
  ]
  write(process.stderr, lines.join('\n'))
}

/** The least of a last column that is worth showing. */
const minLastWidth = 24

/**
 * Columns as wide as their widest cell, two spaces between them, no blanks at the end of a line.
 *
 * @param stream Where it is a terminal, the last column is cut at its edge, so that each row is one line.
 */
export function formatTable(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  stream?: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'>,
): string {
  const all = [heads, ...rows.map((row) => row.map(oneLine))]
  const widths = heads.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0)
  const room = stream?.isTTY ? Math.max(stream.columns - before, minLastWidth) : Number.POSITIVE_INFINITY
  return all
    .map((row) =>
      row
        .map((cell, column) => (column < heads.length - 1 ? cell.padEnd(widths[column] ?? 0) : cut(cell, room)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function cut(cell: string, width: number): string {
  return cell.length > width ? `${cell.slice(0, width - 1)}…` : cell
}

/** `name  value` lines, the values in one column; rows without a value are left out. */
export function formatFields(fields: readonly (readonly [name: string, value: string | undefined])[]): string {
  const shown = fields.filter((field): field is readonly [string, string] => field[1] !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${oneLine(name).padEnd(width)}  ${oneLine(value)}`.trimEnd()).join('\n')
}

/** What a caller wrote into a name or a path must not move a terminal's cursor. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}

/** Such as `2026-11-23 02:05:02Z`. */
export function formatTime(time: Date): string {
  return time
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
}

/** With how far it is from `now`: `2026-11-23 02:05:02Z (in 4m 58s)`. */
export function formatMoment(time: Date, now: Date): string {
  return `${formatTime(time)} (${formatDistance(time, now)})`
}

/** `in 4m 58s`, `2d ago`, `now`. */
export function formatDistance(time: Date, now: Date): string {
  const seconds = Math.round((time.getTime() - now.getTime()) / 1000)
  if (seconds === 0) return 'now'
  return seconds < 0 ? `${formatSeconds(-seconds)} ago` : `in ${formatSeconds(seconds)}`
}

/** The two largest units: `4m 58s`, `6d 23h`. */
export function formatSeconds(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return '0s'
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ')
}
