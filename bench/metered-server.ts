/**
 * A server with its metrics, or with none that count, and the same log either way: `metered-server.ts metered|unmetered
 * CONFIG`. Otherwise it is what `serve` starts.
 *
 * @module
 */
import { collectDefaultMetrics } from 'prom-client'
import { createLog } from '../src/adapters/telemetry/log.ts'
import { createPrometheusMetrics } from '../src/adapters/telemetry/prometheus.ts'
import { silentTelemetry } from '../src/core/telemetry.ts'
import { startServer } from '../src/runtime/server.node.ts'

const [kind, configFile = ''] = process.argv.slice(2)
const { log } = createLog({ level: 'info', format: 'json', write: (text) => void process.stderr.write(text) })
const metered = kind === 'metered'
const { expose, ...measurements } = createPrometheusMetrics((register) => {
  if (metered) collectDefaultMetrics({ register })
})
const server = await startServer(
  { configFile, logLevel: 'info', logFormat: 'json', purpose: 'serve', env: process.env },
  { telemetry: { ...silentTelemetry, ...(metered && measurements), log }, metrics: expose },
)
process.once('SIGTERM', () => void server.close())
