/**
 * Runs a gateway in a process of its own: `serve.ts CONFIG`. Says `ready`, and stops in order at SIGTERM. With
 * `serve.ts CONFIG late` the last step of the start fails.
 */
import { silentTelemetry, type Telemetry } from '../../src/core/telemetry.ts'
import { startServer } from '../../src/runtime/server.node.ts'

const [configFile = '', fails] = process.argv.slice(2)
const telemetry: Telemetry = {
  ...silentTelemetry,
  log(_level, message) {
    if (fails === 'late' && message === 'ready') throw new Error('late')
  },
}
const settings = { configFile, logLevel: 'info', logFormat: 'json', purpose: 'serve', env: process.env } as const
try {
  const server = await startServer(settings, {
    telemetry,
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
  })
  process.once('SIGTERM', () => void server.close())
  process.stdout.write('ready\n')
} catch (error) {
  const { name, code } = error as { readonly name: string; readonly code?: string }
  process.stdout.write(`${name} ${code ?? ''}\n`)
  process.exitCode = 1
}
