/**
 * The telemetry of a process: log lines on standard error, metrics for `/metrics`.
 *
 * @module
 */
import { collectDefaultMetrics } from 'prom-client'
import { createLog } from '../adapters/telemetry/log.ts'
import { createPrometheusMetrics } from '../adapters/telemetry/prometheus.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { ServerDeps } from './server.node.ts'
import type { ServerSettings } from './settings.ts'

export interface ProcessTelemetry extends ServerDeps {
  readonly telemetry: Telemetry
  /** Writes the lines that are still held. */
  readonly flush: () => void
}

/** @param worker Which of several processes with one log this is. */
export function createProcessTelemetry(
  { logLevel, logFormat }: Pick<ServerSettings, 'logLevel' | 'logFormat'>,
  worker?: number,
): ProcessTelemetry {
  const write = (text: string) => void process.stderr.write(text)
  const { log, flush } = createLog({
    level: logLevel,
    format: logFormat,
    write: worker === undefined ? write : (text) => wholeLines(text).forEach(write),
  })
  const { expose, ...measurements } = createPrometheusMetrics(
    (register) => collectDefaultMetrics({ register }),
    worker === undefined ? {} : { worker: String(worker) },
  )
  const logAs: Telemetry['log'] = (level, message, fields) => log(level, message, { worker, ...fields })
  return { telemetry: { ...measurements, log: worker === undefined ? log : logAs }, metrics: expose, flush }
}

/** What a pipe takes at once (PIPE_BUF of Linux): with more, lines of several processes may come to stand in each other. */
const maxWriteBytes = 4096

/** In pieces that end with a line, each as long as fits; a line that is longer is a piece alone. */
export function wholeLines(text: string, maxBytes = maxWriteBytes): readonly string[] {
  const pieces: string[] = []
  let bytes = maxBytes
  for (const line of text.match(/[^\n]*\n/g) ?? []) {
    const more = Buffer.byteLength(line)
    bytes += more
    if (bytes > maxBytes) {
      pieces.push('')
      bytes = more
    }
    pieces.push(`${pieces.pop() ?? ''}${line}`)
  }
  return pieces
}
