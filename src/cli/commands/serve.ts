/**
 * `apostille serve`
 *
 * @module
 */
import type { Command } from 'commander'
import { formatAddresses } from '../../runtime/addresses.ts'
import { startServer } from '../../runtime/server.node.ts'
import type { WorkerLink } from '../../runtime/worker.node.ts'
import { type LogFlags, logSettings, openTelemetry, runUntilStopped, withLog } from '../lifetime.ts'
import { act, configOption, examples, type OperatorOptions, withOutput } from '../options.ts'
import type { Output } from '../output.ts'
import { parseWorkers } from '../values.ts'

interface ServeOptions extends OperatorOptions, LogFlags {
  readonly workers?: number
}

export function define(command: Command): void {
  command
    .description(
      'Run the gateway. It logs to standard error. SIGTERM and SIGINT stop it when what was accepted is done, a second one at once; SIGHUP reloads the configuration. With --output json it says on standard output where it listens, once it does.',
    )
    .option(
      '--workers <number>',
      'processes on the same addresses, one for each core; the store has to be PostgreSQL (default: this process alone)',
      parseWorkers,
    )
  withLog(withOutput(command.addOption(configOption())))
  examples(command, 'serve', 'serve --config /etc/apostille/apostille.yaml --log-level warning', 'serve --workers 4')
  act<ServeOptions>(command, async (output, options) => {
    if (options.workers === undefined) return serve(output, options)
    const { joinWorkers } = await import('../../runtime/worker.node.ts')
    const link = joinWorkers(process.env)
    return link ? serveAsWorker(options, link) : serveByWorkers(output, options, options.workers)
  })
}

const settingsOf = (options: ServeOptions) =>
  ({ ...logSettings(options), configFile: options.config, purpose: 'serve', env: process.env }) as const

async function serve(output: Output, options: ServeOptions): Promise<void> {
  const telemetry = await openTelemetry(options)
  await runUntilStopped({
    telemetry,
    configFile: options.config,
    start: () => startServer(settingsOf(options), telemetry),
    ready: ({ addresses }) => output.result(formatAddresses(addresses), ''),
  })
}

async function serveAsWorker(options: ServeOptions, link: WorkerLink): Promise<void> {
  const telemetry = await openTelemetry(options, link.number)
  await runUntilStopped({
    telemetry,
    configFile: options.config,
    start: () => startServer(settingsOf(options), link.share(telemetry)),
    ready: ({ addresses }) => link.ready(addresses),
    orders({ reload, stop }) {
      link.onOrder({ reload, stop: () => stop('stop') })
      process.on('SIGTERM', stop)
      // Of a terminal it goes to all processes, and the first one passes it on.
      process.on('SIGINT', () => undefined)
      process.on('SIGHUP', reload)
    },
  }).catch((error: unknown) => {
    link.letGo()
    throw error
  })
}

async function serveByWorkers(output: Output, options: ServeOptions, count: number): Promise<void> {
  const telemetry = await openTelemetry(options)
  const { startWorkers, WorkerEnded } = await import('../../runtime/workers.node.ts')
  await runUntilStopped({
    telemetry,
    configFile: options.config,
    start: () =>
      startWorkers({ count, configFile: options.config, telemetry: telemetry.telemetry }).catch((error: unknown) => {
        if (!(error instanceof WorkerEnded)) throw error
        // It has said what is wrong.
        telemetry.flush()
        process.exit(error.exitCode)
      }),
    ready: ({ addresses }) => output.result(formatAddresses(addresses), ''),
  })
}
