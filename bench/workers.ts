/**
 * Two workers on two cores, against one process on one, each with a database of its own on the same server.
 *
 * Load and database have the second core in both cases: what they take of it the second worker does not have. Requests
 * are batches, of which they take little; how much is shown.
 *
 * @module
 */
import type { Bench } from './bench.ts'
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { batchRequests } from './request.ts'
import { cpuSecondsOfAll, type ServerProcess } from './server-process.ts'

const batch = 50

export const workers: Figure = {
  rows: [
    {
      name: 'workers',
      what: `two workers on two cores, which load and database share, against one on one: ${batch} JWT-SVIDs per request, 32 connections`,
      unit: '×',
      bound: { kind: 'at least', required: 1.6, aim: 1.9 },
    },
  ],
  async prepare(bench) {
    const choice = { rules: 1, tls: false }
    const one = await bench.server({ ...choice, store: await bench.database('single') })
    const two = await bench.server({ ...choice, store: await bench.database('shared'), workers: 2 })
    for (const { url } of [one, two])
      await bench.warmUp({ url, requests: batchRequests(bench.workload, batch), connections: 32 })
    return async () => {
      const alone = await measure(bench, one)
      const both = await measure(bench, two)
      return {
        values: { workers: both.perSecond / alone.perSecond },
        seen: {
          onePerSecond: alone.perSecond * batch,
          twoPerSecond: both.perSecond * batch,
          oneCores: alone.cores,
          twoCores: both.cores,
          loadAndDatabaseCores: 2 - both.cores,
        },
      }
    }
  },
}

/** Requests a second, and how many cores the server had meanwhile. */
async function measure(bench: Bench, { url, pid }: ServerProcess) {
  const [startedMs, before] = [performance.now(), cpuSecondsOfAll(pid)]
  const plan = { url, requests: batchRequests(bench.workload, batch), connections: 32, seconds: bench.sliceSeconds }
  const { perSecond } = requireSuccess(await bench.load.run(plan))
  const seconds = (performance.now() - startedMs) / 1000
  return { perSecond, cores: (cpuSecondsOfAll(pid) - before) / seconds }
}
