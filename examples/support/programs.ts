/**
 * The programs of an example: started, listened to, stopped.
 *
 * @module
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

export interface ProgramOptions {
  /** Shown before its lines. */
  readonly name: string
  /** What to run: a `.ts` file runs on this Node. Arguments follow. */
  readonly command: readonly [string, ...(readonly string[])]
  readonly env: Readonly<Record<string, string>>
  /** Told every line; nothing is shown by default. */
  readonly onLine?: (name: string, line: string) => void
}

export interface Program {
  /** The first line, from those printed so far on, that fits. @throws when the program ends or 45 seconds pass before */
  readonly printed: (pattern: RegExp) => Promise<RegExpExecArray>
  /** The first such line that is printed from now on. */
  readonly prints: (pattern: RegExp) => Promise<RegExpExecArray>
  /** The last lines that it printed. */
  readonly lastLines: () => string
  /** Its exit code, once it has ended by itself. */
  readonly ended: () => Promise<number>
  /** Asks it to end, and makes it after 5 seconds. */
  readonly stop: () => Promise<void>
  /** Ends it on the spot, as a crash would. */
  readonly kill: () => Promise<void>
}

const patienceMs = 45_000
const stopMs = 5_000

interface Watcher {
  readonly pattern: RegExp
  readonly found: (match: RegExpExecArray) => void
  readonly gaveUp: (error: Error) => void
}

export function startProgram({ name, command, env, onLine }: ProgramOptions): Program {
  const [file, ...args] =
    command[0].endsWith('.ts') || command[0].endsWith('.js') ? [process.execPath, ...command] : command
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  const watchers = new Set<Watcher>()
  const exit = Promise.withResolvers<number>()

  function take(line: string): void {
    lines.push(line)
    onLine?.(name, line)
    for (const { pattern, found } of watchers) {
      const match = pattern.exec(line)
      if (match) found(match)
    }
  }
  for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', take)
  child.once('error', (error) => take(`can not be started: ${error.message}`))
  child.once('close', (code) => {
    exit.resolve(code ?? 1)
    for (const { gaveUp } of watchers) gaveUp(new Error(describe(`${name} ended (${code ?? 'killed'})`)))
  })

  const lastLines = () => lines.slice(-15).join('\n  ')
  const describe = (what: string) => `${what}. What it printed last:\n  ${lastLines()}`
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined

  async function prints(pattern: RegExp): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>()
    const watcher = { pattern, found: resolve, gaveUp: reject }
    const timer = setTimeout(() => reject(new Error(describe(`${name} did not print ${pattern} in time`))), patienceMs)
    watchers.add(watcher)
    if (hasEnded()) void exit.promise.then(() => reject(new Error(describe(`${name} has ended`))))
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      watchers.delete(watcher)
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (hasEnded()) return
    const closed = once(child, 'close')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMs)
    await closed
    clearTimeout(timer)
  }

  return {
    prints,
    async printed(pattern) {
      for (const line of lines) {
        const match = pattern.exec(line)
        if (match) return match
      }
      return prints(pattern)
    },
    lastLines,
    ended: () => exit.promise,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}

/** What a command writes to its standard output. Rejects when it ends with another exit code than 0. */
export async function runCommand(file: string, args: readonly string[]): Promise<string> {
  const running = promisify(execFile)(process.execPath, [file, ...args], { maxBuffer: 16 * 1024 * 1024 })
  const { stdout } = await running.catch((cause: { readonly stderr?: string }) => {
    throw new Error(`${basename(file)} ${args.join(' ')} failed:\n  ${cause.stderr}`, { cause })
  })
  return stdout
}
