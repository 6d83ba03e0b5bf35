/**
 * Programs: those that run to their end, and those that run until the test file ends.
 *
 * @module
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'

export interface Finished {
  /** Exit code; 128 when a signal ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** 60,000 by default. */
  readonly deadlineMs?: number
}

/** Runs a program to its end, whatever that is. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = spawn(command, args, { ...spawnOptions(options), timeout: options.deadlineMs ?? 60_000 })
  const output = collect(child)
  child.stdin?.on('error', () => {}) // it may end without reading
  child.stdin?.end(options.input ?? '')
  const [code] = await once(child, 'close')
  return { code: (code as number | null) ?? 128, ...output() }
}

/** What it writes. @throws {Error} with what it wrote to stderr, unless it exits with 0 */
export async function runOk(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options)
  if (code !== 0) throw new Error(`${command} ${args[0] ?? ''} ended with ${code}:\n${stderr.slice(-4000)}`)
  return stdout
}

export interface Running {
  /** Resolves with its lines on stdout so far, once one matches. */
  readonly line: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly output: () => Omit<Finished, 'code'>
  /** To its standard input. */
  readonly write: (text: string) => void
  /** @throws {Error} with what it wrote to stderr, when it has ended */
  readonly alive: () => void
  /** Asks it to end, and waits until it has; what it has started itself may need that. */
  readonly end: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts a program that ends with the stack at the latest. Its standard input stays open after `input`. */
export function start(
  stack: AsyncDisposableStack,
  command: string,
  args: readonly string[],
  options: Omit<RunOptions, 'deadlineMs'> = {},
): Running {
  const child = spawn(command, args, spawnOptions(options))
  child.stdin?.on('error', () => {})
  child.stdin?.write(options.input ?? '')
  const output = collect(child)
  const closed = once(child, 'close').catch(() => {})
  running.add(child)
  process.removeListener('exit', killAll).once('exit', killAll)

  async function stop(): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await closed
    running.delete(child)
  }

  async function end(): Promise<void> {
    child.kill('SIGTERM')
    await closed
    running.delete(child)
  }

  function alive(): void {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${command} ended early:\n${output().stderr.slice(-4000)}`)
  }

  async function line(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(output().stdout)
      if (found) return found
      alive()
      await Promise.race([once(child.stdout ?? child, 'data'), closed])
    }
  }

  stack.defer(stop)
  return { line, output, write: (text) => void child.stdin?.write(text), alive, end, stop }
}

const running = new Set<ChildProcess>()

/** For a test process that ends without its `afterAll`. */
function killAll(): void {
  for (const child of running) child.kill('SIGKILL')
}

function spawnOptions({ cwd, env }: RunOptions): SpawnOptions {
  return { ...(cwd && { cwd }), env: { ...process.env, ...env }, stdio: 'pipe' }
}

function collect(child: ChildProcess): () => Omit<Finished, 'code'> {
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return () => ({ stdout, stderr })
}

/**
 * Ports of 127.0.0.1 that nobody listens on. Held open together, so that they differ; another process may take one before
 * its user does.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

/**
 * Asks until there is an answer. For other programs, which say in no other way that they are ready or have noticed a change.
 *
 * @throws {Error} after `deadlineMs` without one
 */
export async function poll<T>(
  what: string,
  deadlineMs: number,
  ask: () => Promise<T | undefined>,
  everyMs = 200,
): Promise<T> {
  const end = performance.now() + deadlineMs
  while (performance.now() < end) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
  throw new Error(`${what}: not within ${deadlineMs} ms`)
}
