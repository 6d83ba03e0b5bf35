/**
 * Mistakes of a configuration document as compilers show them.
 *
 * @module
 */
import { oneLine, style } from './output.ts'

export interface ShownDiagnostic {
  readonly severity: 'error' | 'warning'
  readonly line: number
  readonly column: number
  readonly path: string
  readonly message: string
}

/** Wider lines are cut around the place. */
const maxSourceWidth = 120

/** One block for each: `file:line:column: severity: path: message`, the line of the source, and a caret below the place. */
export function formatDiagnostics(
  file: string,
  diagnostics: readonly ShownDiagnostic[],
  lines: readonly string[],
  stream: NodeJS.WriteStream = process.stdout,
): readonly string[] {
  return diagnostics.map(({ severity, line, column, path, message }) => {
    const colour = severity === 'error' ? 'red' : 'yellow'
    const where = `${file}:${line}:${column}`
    const title = `${where}: ${style(stream, colour, severity)}: ${path === '' ? '' : `${path}: `}${oneLine(message)}`
    const source = lines[line - 1]
    return source === undefined || !/\S/.test(source) ? title : `${title}\n${formatSource(source, line, column)}`
  })
}

function formatSource(source: string, line: number, column: number): string {
  const start = Math.max(0, Math.min(column - 1, source.length) - maxSourceWidth + 20)
  const shown = oneLine(source.slice(start, start + maxSourceWidth).replaceAll('\t', ' ')).trimEnd()
  const gutter = ` ${line} | `
  return `${gutter}${shown}\n${' '.repeat(gutter.length - 2)}| ${' '.repeat(Math.max(0, column - 1 - start))}^`
}
