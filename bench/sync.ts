/**
 * Secret sync: how near a first run comes to what its requests alone would take, what a run does that has nothing to do,
 * and how much memory many secrets take.
 *
 * @module
 */
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { destinationRules } from '../src/core/destination-rules.ts'
import { cores, spawnOn } from './cores.ts'
import type { Figure } from './figure.ts'
import type { SyncMeasurement } from './sync-program.ts'

const secrets = 1000
const destinations = 3
const latencyMs = 20
const many = 100_000
const { concurrency } = destinationRules['gcp-secret-manager'].pace
/** MB, see federated-domains.ts; with so little room V8 keeps nothing that could go. Where time counts it has what it wants. */
const sameRoom = ['--max-semi-space-size=8', '--max-old-space-size=40']

export const sync: Figure = {
  rows: [
    {
      name: 'sync-first',
      what: `first sync of ${secrets} secrets to ${destinations} destinations of ${latencyMs} ms: time by requests × latency ÷ ${concurrency} at once`,
      unit: '×',
      bound: { kind: 'at most', required: 1.5 },
    },
    {
      name: 'sync-idle',
      what: 'the next sync: writes, and reads of single secrets on either side',
      unit: 'requests',
      bound: { kind: 'at most', required: 0 },
    },
    {
      name: 'sync-memory',
      what: `most resident memory that ${many} secrets add to that of ${secrets}, for one destination, first and next sync, V8 with the same room`,
      unit: 'MB',
      bound: { kind: 'at most', required: 40 },
    },
  ],
  async prepare({ folder }) {
    const few = await measure(folder, [secrets, 1, 0], sameRoom)
    const all = await measure(folder, [many, 1, 0], sameRoom)
    const memory = all.residentPeak - few.residentPeak
    return async () => {
      const run = [secrets, destinations, latencyMs] as const
      const { firstSeconds, firstCalls, idleTouches, ...seen } = await measure(folder, run, [])
      const perDestination = firstCalls / destinations
      const leastSeconds = (perDestination * latencyMs) / 1000 / concurrency
      return {
        values: { 'sync-first': firstSeconds / leastSeconds, 'sync-idle': idleTouches, 'sync-memory': memory },
        seen: {
          ...seen,
          firstSeconds,
          firstCalls,
          manyFirstSeconds: all.firstSeconds,
          manyIdleSeconds: all.idleSeconds,
        },
      }
    }
  },
}

type Run = readonly [secrets: number, destinations: number, latencyMs: number]

async function measure(
  folder: string,
  [count, places, latency]: Run,
  room: readonly string[],
): Promise<SyncMeasurement> {
  const own = await mkdtemp(join(folder, 'sync-'))
  await launch(['fill', own, count], room)
  const printed = await launch(['run', own, places, latency], room)
  return JSON.parse(printed) as SyncMeasurement
}

async function launch(words: readonly (string | number)[], room: readonly string[]): Promise<string> {
  const program = join(import.meta.dirname, 'sync-program.ts')
  const child = spawnOn(cores.server, [process.execPath, ...room, program, ...words.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const printed = child.stdout === null ? '' : await text(child.stdout)
  await ended
  if (child.exitCode !== 0) throw new Error(`the sync ended with ${child.exitCode}`)
  return printed
}
