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

export function createProcessTelemetry({
  logLevel,
  logFormat,
}: Pick<ServerSettings, 'logLevel' | 'logFormat'>): ProcessTelemetry {
  const { log, flush } = createLog({
    level: logLevel,
    format: logFormat,
    write: (text) => void process.stderr.write(text),
  })
  const { expose, ...measurements } = createPrometheusMetrics((register) => collectDefaultMetrics({ register }))
  return { telemetry: { ...measurements, log }, metrics: expose, flush }
}
