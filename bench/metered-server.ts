/**
 * What `serve` starts, but that SIGUSR2 has its metrics stop counting, and count again: `metered-server.ts CONFIG`. One
 * process that does either is the same code, optimised in the same way, in the same memory.
 *
 * @module
 */
import { collectDefaultMetrics } from 'prom-client'
import { createLog } from '../src/adapters/telemetry/log.ts'
import { createPrometheusMetrics } from '../src/adapters/telemetry/prometheus.ts'
import { silentTelemetry, type Telemetry } from '../src/core/telemetry.ts'
import { startServer } from '../src/runtime/server.node.ts'

const [configFile = ''] = process.argv.slice(2)
const { log } = createLog({ level: 'info', format: 'json', write: (text) => void process.stderr.write(text) })
const { expose, ...measurements } = createPrometheusMetrics((register) => collectDefaultMetrics({ register }))
let now: Pick<Telemetry, 'count' | 'gauge' | 'observe'> = measurements
process.on('SIGUSR2', () => {
  now = now === measurements ? silentTelemetry : measurements
})
const telemetry: Telemetry = {
  count: (...given) => now.count(...given),
  gauge: (...given) => now.gauge(...given),
  observe: (...given) => now.observe(...given),
  log,
}
const settings = { configFile, logLevel: 'info', logFormat: 'json', purpose: 'serve', env: process.env } as const
const server = await startServer(settings, { telemetry, metrics: expose })
process.once('SIGTERM', () => void server.close())
