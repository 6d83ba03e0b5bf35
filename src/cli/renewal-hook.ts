/**
 * What happens at each renewal: a command runs, or a process gets a signal, so that whoever reads the files reads them anew.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { basename, join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CliError } from './cli-error.ts'
import { collect } from './values.ts'

export interface HookOptions {
  readonly exec?: readonly string[]
  readonly signal?: readonly string[]
  readonly signalName: NodeJS.Signals
}

export function withHooks(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--exec <command>',
        'with --watch: run this in a shell whenever the files are new; may be given again (default: none)',
      ).argParser(collect),
    )
    .addOption(
      new Option(
        '--signal <process>',
        'with --watch: send a signal whenever the files are new, to a PID, a file that holds one (/run/nginx.pid), or all of a name; may be given again (default: none)',
      ).argParser(collect),
    )
    .addOption(
      new Option('--signal-name <name>', 'which signal').argParser(parseSignal).default('SIGHUP' as NodeJS.Signals),
    )
}

function parseSignal(text: string): NodeJS.Signals {
  const name = text.startsWith('SIG') ? text : `SIG${text}`
  if (Object.hasOwn(constants.signals, name)) return name as NodeJS.Signals
  throw new InvalidArgumentError('expected the name of a signal, such as SIGHUP or USR1.')
}

/**
 * Runs them all whenever it is called, one run after another, and nobody waits for that: a command that hangs must not keep
 * files from being renewed. Calls while one runs come to one run after it, as the files are new only once.
 */
export function createHookRunner(hooks: HookOptions, failed: (error: CliError) => void): () => void {
  let last: Promise<void> = Promise.resolve()
  let waiting = false
  return () => {
    if (waiting) return
    waiting = true
    last = last.then(() => {
      waiting = false
      return runHooks(hooks, failed)
    })
  }
}

/** Runs all, one after another. @param failed Told of each that failed; the others are not kept by it. */
export async function runHooks(
  { exec = [], signal = [], signalName }: HookOptions,
  failed: (error: CliError) => void,
): Promise<void> {
  const works = [...exec.map((line) => () => runLine(line)), ...signal.map((name) => () => signalAll(name, signalName))]
  for (const work of works) {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof CliError)) throw error
      failed(error)
    }
  }
}

/** Standard output is for results of ours. */
function runLine(line: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const fail = (why: string) => reject(new CliError(`--exec: ${line}: ${why}`, { code: 'command' }))
  spawn(line, { shell: true, stdio: ['ignore', process.stderr, process.stderr] })
    .once('error', (error: NodeJS.ErrnoException) => fail(`can not be run (${error.code})`))
    .once('exit', (code, signal) => (code === 0 ? resolve() : fail(`ended with ${code ?? signal}`)))
  return promise
}

async function signalAll(name: string, signal: NodeJS.Signals): Promise<void> {
  const pids = await findProcesses(name)
  if (pids.length === 0) throw new CliError(`--signal: no process is called ${name}`, { code: 'command' })
  for (const pid of pids) sendSignal(pid, signal)
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = { ESRCH: 'there is no such process', EPERM: 'this user may not signal it' }[code ?? ''] ?? code
    throw new CliError(`--signal: process ${pid}: ${why}`, { code: 'command', cause })
  }
}

async function findProcesses(name: string): Promise<readonly number[]> {
  if (/^[1-9]\d{0,9}$/.test(name)) return [Number(name)]
  return name.includes('/') ? readPidFile(name) : findByName(name)
}

async function readPidFile(path: string): Promise<readonly number[]> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CliError(`--signal: ${path} can not be read (${cause.code})`, { code: 'command', cause })
  })
  const pid = /^\s*([1-9]\d{0,9})\s*$/.exec(text)?.[1]
  if (pid === undefined) throw new CliError(`--signal: ${path} holds no PID`, { code: 'command' })
  return [Number(pid)]
}

/** Linux cuts names of processes there. */
const maxNameLength = 15

/** By the name of the process or of its program. Where there is no `/proc`, there are none. */
async function findByName(name: string): Promise<readonly number[]> {
  const entries = await readdir('/proc').catch(() => [])
  const pids = entries.filter((entry) => /^\d+$/.test(entry)).map(Number)
  const found = await Promise.all(
    pids.map(async (pid) => (pid !== process.pid && (await isCalled(pid, name)) ? pid : 0)),
  )
  return found.filter((pid) => pid !== 0)
}

/** One that has ended meanwhile is called nothing. */
async function isCalled(pid: number, name: string): Promise<boolean> {
  const read = (file: string) => readFile(join('/proc', String(pid), file), 'utf8').catch(() => '')
  const [comm, cmdline] = await Promise.all([read('comm'), read('cmdline')])
  const program = basename(cmdline.split('\0')[0] ?? '')
  return comm.trim() === name.slice(0, maxNameLength) || program === name
}
