/**
 * The SPIRE of the example: its programs, and what an operator of SPIRE types.
 *
 * `EXAMPLE_SPIRE_DIR`: holds `spire-server` and `spire-agent`. Without it they are built from source, once, which takes Go.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { findFreePort } from '../support/gateway.ts'
import type { Program } from '../support/programs.ts'
import type { Stage } from '../support/scene.ts'

export interface SpireServer {
  readonly folder: string
  /** Of the gRPC API, for agents. */
  readonly port: number
  /** `https://localhost:PORT`, where its own configuration has one. */
  readonly bundleEndpoint: string
  /** What a command of `spire-server` writes, such as `command('bundle', 'show')`. Rejects when it fails. */
  readonly command: (...args: readonly string[]) => Promise<string>
}

export interface SpireAgent {
  /** As SPIRE's workloads ask, over the Workload API: again and again, until the agent has heard of their entry. */
  readonly fetch: (...args: readonly string[]) => Promise<string>
}

const here = import.meta.dirname
const runProgram = promisify(execFile)
const patienceMs = 30_000
const askEveryMs = 200

/** Folder of the programs. */
export async function findSpire(): Promise<string> {
  const folder = process.env['EXAMPLE_SPIRE_DIR']
  if (folder) return folder
  const script = join(here, '../../scripts/spire.sh')
  const { stdout } = await runProgram(script).catch((cause: { readonly stderr?: string }) => {
    const hint = 'Install Go 1.26.6 or later, gcc and flock, or name a folder with SPIRE by EXAMPLE_SPIRE_DIR'
    throw new Error(`SPIRE could not be built: ${cause.stderr?.trim().split('\n').at(-1)}. ${hint}`, { cause })
  })
  return stdout.trim()
}

export interface ServerOptions {
  readonly name: string
  /** File name in `spire/`. */
  readonly config: string
  /** Folder of an intermediate, for a configuration that has an upstream authority. */
  readonly upstream?: string
}

export async function startServer(programs: string, stage: Stage, options: ServerOptions): Promise<SpireServer> {
  const folder = join(stage.folder, options.name)
  await mkdir(folder, { mode: 0o700 })
  const [port, bundlePort] = [await findFreePort(), await findFreePort()]
  const file = join(programs, 'spire-server')
  const server = stage.start({
    name: options.name,
    isQuiet: true,
    command: [file, 'run', '-config', join(here, 'spire', options.config), '-expandEnv', '-logLevel', 'WARN'],
    env: {
      SPIRE_FOLDER: folder,
      SPIRE_PORT: String(port),
      SPIRE_BUNDLE_PORT: String(bundlePort),
      SPIRE_UPSTREAM: options.upstream ?? '',
    },
  })
  const command = commandOf(file, join(folder, 'server.sock'))
  await untilOk(server, () => command('healthcheck'))
  return { folder, port, bundleEndpoint: `https://localhost:${bundlePort}`, command }
}

/** @param node What the entries of its workloads name as their parent. */
export async function startAgent(
  programs: string,
  stage: Stage,
  { server, node }: { readonly server: SpireServer; readonly node: string },
): Promise<SpireAgent> {
  const file = join(programs, 'spire-agent')
  const { value: token } = JSON.parse(await server.command('token', 'generate', '-spiffeID', node, '-output', 'json'))
  await writeFile(join(server.folder, 'bundle.pem'), await server.command('bundle', 'show'))
  const agent = stage.start({
    name: 'spire-agent',
    isQuiet: true,
    command: [
      ...([file, 'run', '-config', join(here, 'spire/agent.conf'), '-expandEnv', '-logLevel', 'WARN'] as const),
      ...['-joinToken', token],
    ],
    env: { SPIRE_FOLDER: server.folder, SPIRE_PORT: String(server.port) },
  })
  const command = commandOf(file, join(server.folder, 'agent.sock'))
  await untilOk(agent, () => command('healthcheck'))
  return { fetch: (...args) => untilOk(agent, () => command('api', 'fetch', ...args)) }
}

function commandOf(file: string, socketPath: string): SpireServer['command'] {
  return async (...args) => {
    const running = runProgram(file, [...args, '-socketPath', socketPath])
    const { stdout } = await running.catch((cause: { readonly stderr?: string }) => {
      throw new Error(`${args.join(' ')} failed: ${cause.stderr}`, { cause })
    })
    return stdout
  }
}

async function untilOk(program: Program, ask: () => Promise<string>): Promise<string> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    try {
      return await ask()
    } catch (cause) {
      if (Date.now() > deadline) throw new Error(`SPIRE is not ready:\n  ${program.lastLines()}`, { cause })
      await pause(askEveryMs)
    }
  }
}
