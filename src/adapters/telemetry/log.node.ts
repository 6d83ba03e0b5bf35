/**
 * Log lines on standard error: JSON for machines, text for people.
 *
 * Lines of one event-loop turn are one write, as at ten thousand requests a second a write each would cost more than
 * the requests.
 *
 * @module
 */
import { configureSync, getJsonLinesFormatter, getLogger, getTextFormatter, type LogRecord } from '@logtape/logtape'
import type { Telemetry } from '../../core/telemetry.ts'

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
  const formatRecord = formatters[format]()
  let held = ''
  let scheduled = false

  function flush(): void {
    scheduled = false
    const text = held
    held = ''
    if (text !== '') write(text)
  }

  configureSync({
    reset: true,
    sinks: {
      turn(record: LogRecord) {
        held += formatRecord(record)
        if (scheduled) return
        scheduled = true
        setImmediate(flush)
      },
    },
    loggers: [
      { category: 'apostille', lowestLevel: level, sinks: ['turn'] },
      { category: ['logtape', 'meta'], lowestLevel: 'warning', sinks: ['turn'] },
    ],
  })
  const logger = getLogger('apostille')
  return {
    flush,
    log: (severity, message, fields = {}) => logger[severity](message.replaceAll('{', '{{'), fields),
  }
}

const formatters = {
  json: () => getJsonLinesFormatter({ message: 'rendered', properties: 'flatten' }),
  text: () =>
    getTextFormatter({
      timestamp: 'rfc3339',
      level: 'FULL',
      category: () => '',
      format: ({ timestamp, level, message, record }) =>
        `${timestamp} ${level} ${message}${formatFields(record.properties)}`,
    }),
}

function formatFields(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${formatValue(value)}`)
    .join('')
}

/** Quoted as soon as it could be mistaken for something else; control characters never reach a terminal. */
function formatValue(value: unknown): string {
  const text = String(value)
  return /^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text)
}
