/**
 * The telemetry of a process: log lines on standard error, metrics for `/metrics`, and traces and log records over OTLP
 * where the variables of OpenTelemetry ask for them.
 *
 * @module
 */
import { collectDefaultMetrics } from 'prom-client'
import { createLog, logLevels } from '../adapters/telemetry/log.ts'
import type { OpenTelemetry } from '../adapters/telemetry/opentelemetry.node.ts'
import { type OtelSettings, readOtelSettings } from '../adapters/telemetry/otel-settings.ts'
import { createPrometheusMetrics } from '../adapters/telemetry/prometheus.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { packageVersion } from './package-version.node.ts'
import type { ServerDeps } from './server.node.ts'
import type { ServerSettings } from './settings.ts'

export interface ProcessTelemetry extends ServerDeps {
  readonly telemetry: Telemetry
  /** Writes the lines that are still held. */
  readonly flush: () => void
  /** Sends what is held to elsewhere. */
  readonly close: () => Promise<void>
}

const closeDeadlineMs = 5_000

/** @param worker Which of several processes with one log this is. */
export async function createProcessTelemetry(
  { logLevel, logFormat, env }: Pick<ServerSettings, 'logLevel' | 'logFormat' | 'env'>,
  worker?: number,
): Promise<ProcessTelemetry> {
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
  const ownLog = worker === undefined ? log : logAs
  const settings = readOtelSettings(env)
  const exported = settings && (await openTelemetry(settings, ownLog))
  return {
    telemetry: {
      ...measurements,
      log: exported ? above(logLevel, exported.log) : ownLog,
      ...(exported?.trace && { trace: exported.trace }),
    },
    metrics: expose,
    ...(exported?.tracing && { tracing: exported.tracing }),
    flush,
    close: async () => exported?.close(closeDeadlineMs),
  }
}

async function openTelemetry(settings: OtelSettings, log: Telemetry['log']): Promise<OpenTelemetry | undefined> {
  for (const warning of settings.warnings) log('warning', warning)
  if (settings.traces === undefined && settings.logs === undefined) return undefined
  const { createOpenTelemetry } = await import('../adapters/telemetry/opentelemetry.node.ts')
  return createOpenTelemetry(settings, { version: packageVersion(), log })
}

/** What is not worth a line is not worth a record either. */
function above(level: ServerSettings['logLevel'], log: Telemetry['log']): Telemetry['log'] {
  const lowest = logLevels.indexOf(level)
  return (severity, message, fields) => {
    if (logLevels.indexOf(severity) >= lowest) log(severity, message, fields)
  }
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
