/**
 * Programs on chosen cores: the server on one, what loads it on the other, so that neither takes time from the other.
 *
 * @module
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

export const cores = { server: 0, load: 1 } as const
export const allCores = `${cores.server},${cores.load}`

/** @throws {Error} where there are fewer than two cores, or no `taskset` */
export function requireTwoCores(): void {
  if (availableParallelism() < 2) throw new Error('two cores are needed: one for the server, one for the load')
  if (!isInstalled('taskset')) throw new Error('taskset is needed (Debian package util-linux)')
}

export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

/** Starts `command` on one core, or on those of a list such as `0,1`. */
export function spawnOn(core: number | string, command: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn('taskset', ['-c', String(core), ...command], options)
}

/** Runs `command` on one core, or on a list of them, to its end and answers what it wrote. @throws {Error} when it fails, with its last words */
export async function runOn(core: number | string, command: readonly string[]): Promise<string> {
  const child = spawnOn(core, command, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let complaint = ''
  child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  child.stderr?.on('data', (chunk) => {
    complaint = (complaint + chunk).slice(-2000)
  })
  const code = await new Promise((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${complaint}`)
  return output
}

/** Keeps this process, with all of its threads, to one core. */
export function stayOn(core: number): void {
  spawnSync('taskset', ['-a', '-c', '-p', String(core), String(process.pid)])
}
