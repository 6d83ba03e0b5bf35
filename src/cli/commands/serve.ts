/**
 * `apostille serve`
 *
 * @module
 */
import type { Command } from 'commander'
import { formatAddresses } from '../../runtime/addresses.ts'
import { startServer } from '../../runtime/server.node.ts'
import { type LogFlags, logSettings, openTelemetry, runUntilStopped, withLog } from '../lifetime.ts'
import { act, configOption, examples, type OperatorOptions, withOutput } from '../options.ts'

type ServeOptions = OperatorOptions & LogFlags

export function define(command: Command): void {
  command.description(
    'Run the gateway. It logs to standard error. SIGTERM and SIGINT stop it when what was accepted is done, a second one at once; SIGHUP reloads the configuration. With --output json it says on standard output where it listens, once it does.',
  )
  withLog(withOutput(command.addOption(configOption())))
  examples(command, 'serve', 'serve --config /etc/apostille/apostille.yaml --log-level warning')
  act<ServeOptions>(command, async (output, options) => {
    const telemetry = openTelemetry(options)
    const settings = {
      ...logSettings(options),
      configFile: options.config,
      purpose: 'serve',
      env: process.env,
    } as const
    await runUntilStopped({
      telemetry,
      configFile: options.config,
      start: () => startServer(settings, telemetry),
      ready: ({ addresses }) => output.result(formatAddresses(addresses), ''),
    })
  })
}
