/**
 * Log lines on standard error: JSON for machines, text for people.
 *
 * Lines of one event-loop turn are one write, as at ten thousand requests a second a write each would cost more than
 * the requests. Formatting is our own for the same reason: a line of a request is one `JSON.stringify`.
 *
 * @module
 */
import type { Fields, LogLevel, Telemetry } from '../../core/telemetry.ts'

export type LogFormat = 'json' | 'text'

/** From the most to the least that is said. */
export const logLevels = ['debug', 'info', 'warning', 'error'] as const

export interface LogOptions {
  readonly level: (typeof logLevels)[number]
  readonly format: LogFormat
  readonly write: (text: string) => void
}

export interface Log {
  readonly log: Telemetry['log']
  /** Writes what is still held. */
  readonly flush: () => void
}

export function createLog({ level, format, write }: LogOptions): Log {
  const formatLine = formatters[format]
  const lowest = logLevels.indexOf(level)
  let held = ''
  let scheduled = false

  function flush(): void {
    scheduled = false
    const text = held
    held = ''
    if (text !== '') write(text)
  }

  return {
    flush,
    log(severity, message, fields = {}) {
      if (logLevels.indexOf(severity) < lowest) return
      held += formatLine(severity, message, fields)
      if (scheduled) return
      scheduled = true
      setImmediate(flush)
    },
  }
}

const formatters = { json: formatJsonLine, text: formatTextLine }
const jsonLevels = { debug: 'DEBUG', info: 'INFO', warning: 'WARN', error: 'ERROR' } as const

function formatJsonLine(severity: LogLevel, message: string, fields: Fields): string {
  const line = JSON.stringify({
    '@timestamp': new Date().toISOString(),
    level: jsonLevels[severity],
    message,
    logger: 'apostille',
    ...fields,
  })
  return `${escapeControls(line)}\n`
}

/** JSON leaves those beyond ASCII as they are, and a terminal may take them for commands. */
function escapeControls(line: string): string {
  return controls.test(line) ? line.replace(allControls, escapeUnit) : line
}

const controls = /[\x7f-\x9f\u2028\u2029]/
const allControls = new RegExp(controls, 'g')

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function formatTextLine(severity: LogLevel, message: string, fields: Fields): string {
  return `${new Date().toISOString()} ${severity.toUpperCase()} ${escapeControls(message)}${formatFields(fields)}\n`
}

function formatFields(fields: Fields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${formatValue(value)}`)
    .join('')
}

/** Quoted as soon as it could be mistaken for something else; control characters never reach a terminal. */
function formatValue(value: unknown): string {
  const text = String(value)
  return /^[\w.:/@+-]+$/.test(text) ? text : escapeControls(JSON.stringify(text))
}
