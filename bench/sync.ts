/**
 * Secret sync: how near a first run comes to what its requests alone would take, what a run does that has nothing to do,
 * and how much memory many secrets take.
 *
 * @module
 */
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { destinationRules } from '../src/core/destination-rules.ts'
import { cores, spawnOn } from './cores.ts'
import type { Figure } from './figure.ts'
import type { SyncMeasurement } from './sync-program.ts'

const secrets = 1000
const destinations = 3
const latencyMs = 20
const many = 100_000
const { concurrency } = destinationRules['gcp-secret-manager'].pace
const sameRoom = '--max-semi-space-size=8' // MB, see federated-domains.ts

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
      what: `most resident memory that ${many} secrets add to that of ${secrets}, for one destination, first and next sync`,
      unit: 'MB',
      bound: { kind: 'at most', required: 50 },
    },
  ],
  async prepare({ folder }) {
    const few = await measure(folder, [secrets, 1, 0])
    const all = await measure(folder, [many, 1, 0])
    const memory = all.residentPeak - few.residentPeak
    return async () => {
      const { firstSeconds, firstCalls, idleTouches, ...seen } = await measure(folder, [
        secrets,
        destinations,
        latencyMs,
      ])
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

async function measure(
  folder: string,
  [count, places, latency]: readonly [number, number, number],
): Promise<SyncMeasurement> {
  const own = await mkdtemp(join(folder, 'sync-'))
  const program = join(import.meta.dirname, 'sync-program.ts')
  const words = [process.execPath, sameRoom, program, own, ...[count, places, latency].map(String)]
  const child = spawnOn(cores.server, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  if (child.stdout === null) throw new Error('the program has no output')
  const measured = (await json(child.stdout).catch(() => undefined)) as SyncMeasurement | undefined
  await ended
  if (child.exitCode !== 0 || measured === undefined) throw new Error(`the sync ended with ${child.exitCode}`)
  return measured
}
