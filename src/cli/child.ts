/**
 * A command in this one's place: it has the terminal, gets the signals, and its end is ours.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { CliError } from './cli-error.ts'

/** How a command ended: with its exit code, 128 and the number of a signal, or not started at all (126, 127). */
export interface ChildEnd {
  readonly exitCode: number
  readonly error?: CliError
}

const forwarded = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const
/** A terminal sends these to everybody in front of it, the command included. */
const fromTerminal = new Set<NodeJS.Signals>(['SIGINT', 'SIGQUIT'])

/** Signals are caught from here on; those that come before the command runs are passed on when it does. */
export interface SignalRelay {
  readonly passTo: (child: ChildProcess) => void
  /** From here on they do again what they did before. */
  readonly stop: () => void
}

export function catchSignals(): SignalRelay {
  const early: NodeJS.Signals[] = []
  let target: ChildProcess | undefined
  const handle = (signal: NodeJS.Signals) => {
    if (target === undefined) early.push(signal)
    else if (!(fromTerminal.has(signal) && process.stdin.isTTY)) target.kill(signal)
  }
  for (const signal of forwarded) process.on(signal, handle)
  return {
    passTo(child) {
      target = child
      for (const signal of early) child.kill(signal)
    },
    stop() {
      for (const signal of forwarded) process.off(signal, handle)
    },
  }
}

export function runChild(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  signals: SignalRelay,
): Promise<ChildEnd> {
  const { promise, resolve } = Promise.withResolvers<ChildEnd>()
  const child = spawn(command, args, { env, stdio: 'inherit' })
  child.once('error', (error) => resolve(startFailure(command, error)))
  child.once('exit', (code, signal) => resolve({ exitCode: code ?? 128 + (signal ? constants.signals[signal] : 0) }))
  signals.passTo(child)
  return promise
}

/** The codes are those of a shell. */
function startFailure(command: string, cause: NodeJS.ErrnoException): ChildEnd {
  const missing = cause.code === 'ENOENT'
  const message = missing ? `${command}: there is no such command` : `${command} can not be run (${cause.code})`
  return { exitCode: missing ? 127 : 126, error: new CliError(message, { code: 'command', cause }) }
}
