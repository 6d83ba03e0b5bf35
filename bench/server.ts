/**
 * `serve` from the sources, for where the package is not built: the same server, log and metrics.
 *
 *     node bench/server.ts CONFIGURATION
 *
 * @module
 */
import { createLog } from '../src/adapters/telemetry/log.node.ts'
import { createPrometheusMetrics } from '../src/adapters/telemetry/prometheus.ts'
import { startServer } from '../src/runtime/server.node.ts'

const log = createLog({ level: 'info', format: 'json', write: (text) => process.stderr.write(text) })
const metrics = createPrometheusMetrics(() => undefined)
const server = await startServer(
  {
    configFile: process.argv[2] ?? '',
    logLevel: 'info',
    logFormat: 'json',
    purpose: 'serve',
    env: process.env,
  },
  { telemetry: { ...metrics, log: log.log }, metrics: metrics.expose },
)
process.once('SIGTERM', () => void server.close().then(log.flush))
