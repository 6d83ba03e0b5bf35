/**
 * The life of a process that serves: from its start, by its signals, to its end.
 *
 * An exception that nothing caught leaves what it was in unknown: the process logs it and ends with 1, and whatever
 * supervises it starts it anew. A promise that was rejected and that nobody waited for touches no request: it is logged
 * as the bug that it is, and the gateway goes on. Neither log line has the error's message, which might quote input.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { createProcessTelemetry, type ProcessTelemetry } from '../runtime/process-telemetry.node.ts'
import { explainStartFailure } from '../runtime/start-failure.node.ts'
import { CliError } from './cli-error.ts'
import { formatDiagnostics } from './diagnostics.ts'
import type { OutputOptions } from './options.ts'

export interface LogFlags extends OutputOptions {
  readonly logLevel: 'debug' | 'info' | 'warning' | 'error'
  readonly logFormat?: 'json' | 'text'
}

interface Served {
  readonly reload: () => Promise<unknown>
  readonly close: () => Promise<void>
}

export interface Life<Server extends Served> {
  readonly telemetry: ProcessTelemetry
  /** For the source lines of what is wrong with it. */
  readonly configFile: string
  readonly start: () => Promise<Server>
  readonly ready: (server: Server) => void
  /** Default: those of the signals. */
  readonly orders?: (orders: Orders) => void
}

/** What a process is told while it serves. */
export interface Orders {
  readonly reload: () => void
  /** The first lets what was accepted be finished, the second does not. */
  readonly stop: (why: string) => void
}

type Log = ProcessTelemetry['telemetry']['log']

export function withLog(command: Command): Command {
  return command
    .addOption(
      new Option('--log-level <level>', 'the least that is logged')
        .choices(['debug', 'info', 'warning', 'error'])
        .default('info')
        .env('APOSTILLE_LOG_LEVEL'),
    )
    .addOption(
      new Option('--log-format <format>', 'of the log, on standard error (default: text on a terminal, else json)')
        .choices(['json', 'text'])
        .env('APOSTILLE_LOG_FORMAT'),
    )
}

export function logSettings({ logLevel, logFormat }: LogFlags) {
  return { logLevel, logFormat: logFormat ?? (process.stderr.isTTY ? ('text' as const) : ('json' as const)) }
}

export function openTelemetry(flags: LogFlags, worker?: number): Promise<ProcessTelemetry> {
  return createProcessTelemetry({ ...logSettings(flags), env: process.env }, worker)
}

/** Comes back when it was stopped. @throws {CliError} when it did not start */
export async function runUntilStopped<Server extends Served>(life: Life<Server>): Promise<void> {
  const { telemetry, flush } = life.telemetry
  surviveBrokenPipes()
  reportBugs(telemetry.log, flush)
  let server: Server | undefined
  const reload = () => void server?.reload().catch((error: unknown) => logBug(telemetry.log, error))
  const stopped = waitForStop(life.orders ?? takeSignals, reload, { log: telemetry.log, flush })

  server = await startOrExplain(life)
  life.ready(server)
  await stopped
  await server.close()
  await life.telemetry.close()
  flush()
  process.exit(0)
}

/** A gateway does not end because whoever read its log did. */
function surviveBrokenPipes(): void {
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => undefined)
}

function reportBugs(log: Log, flush: () => void): void {
  process.on('unhandledRejection', (error) => logBug(log, error))
  process.on('uncaughtException', (error) => {
    logBug(log, error)
    flush()
    process.exit(1)
  })
}

function logBug(log: Log, error: unknown): void {
  const { name, code, stack } = (error instanceof Error ? error : {}) as NodeJS.ErrnoException
  const frames = stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? []
  log('error', 'a bug: an error that nothing handled', {
    error: name ?? typeof error,
    code,
    stack: frames.map((line) => line.trim()).join(' | '),
  })
}

/** From the start on, as the default of these signals is to end the process. */
function takeSignals({ reload, stop }: Orders): void {
  process.on('SIGHUP', reload)
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

function waitForStop(
  orders: (orders: Orders) => void,
  reload: () => void,
  { log, flush }: { readonly log: Log; readonly flush: () => void },
): Promise<void> {
  return new Promise((resolve) => {
    let asked = false
    function stop(signal: string): void {
      if (asked) {
        log('warning', 'stopped at once', { signal })
        flush()
        process.exit(1)
      }
      asked = true
      log('info', 'stopping', { signal })
      resolve()
    }
    orders({ reload, stop })
  })
}

async function startOrExplain<Server extends Served>({ start, configFile, telemetry }: Life<Server>): Promise<Server> {
  try {
    return await start()
  } catch (error) {
    telemetry.flush()
    const failure = explainStartFailure(error)
    if (failure === undefined) throw error
    const { code, message, diagnostics } = failure
    if (diagnostics === undefined) throw new CliError(message, { code, cause: error })
    const lines = (await readFile(configFile, 'utf8')).split(/\r?\n/)
    const shown = formatDiagnostics(configFile, diagnostics, lines, process.stderr)
    throw new CliError(message, { code, diagnostics, details: shown.join('\n'), cause: error })
  }
}
