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

export async function runChild(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<ChildEnd> {
  const { promise, resolve } = Promise.withResolvers<ChildEnd>()
  const child = spawn(command, args, { env, stdio: 'inherit' })
  const stop = forwardSignals(child)
  child.once('error', (error) => resolve(startFailure(command, error)))
  child.once('exit', (code, signal) => resolve({ exitCode: code ?? 128 + (signal ? constants.signals[signal] : 0) }))
  try {
    return await promise
  } finally {
    stop()
  }
}

function forwardSignals(child: ChildProcess): () => void {
  const handlers = forwarded.map((signal) => {
    const handle = () => {
      if (!(fromTerminal.has(signal) && process.stdin.isTTY)) child.kill(signal)
    }
    process.on(signal, handle)
    return [signal, handle] as const
  })
  return () => {
    for (const [signal, handle] of handlers) process.off(signal, handle)
  }
}

/** The codes are those of a shell. */
function startFailure(command: string, cause: NodeJS.ErrnoException): ChildEnd {
  const missing = cause.code === 'ENOENT'
  const message = missing ? `${command}: there is no such command` : `${command} can not be run (${cause.code})`
  return { exitCode: missing ? 127 : 126, error: new CliError(message, { code: 'command', cause }) }
}
