/**
 * Many JWT-SVIDs for each request, as an agent of a node asks for them.
 *
 * @module
 */
import { cores } from './cores.ts'
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { measureBase } from './openssl-speed.ts'
import { batchRequests } from './request.ts'

const batch = 50

export const svidBatch: Figure = {
  rows: [
    {
      name: 'svid-batch',
      what: `${batch} JWT-SVIDs per request, all in, 32 connections; SVIDs counted`,
      unit: 'O',
      bound: { kind: 'at least', required: 0.4, aim: 0.6 },
    },
  ],
  async prepare(bench) {
    const { url } = await bench.server({ rules: 1, tls: false })
    const plan = { url, requests: batchRequests(bench.workload, batch), connections: 32, seconds: bench.sliceSeconds }
    await bench.warmUp(plan)
    return async () => {
      const { signs } = await measureBase(cores.server)
      const { perSecond, p99Ms } = requireSuccess(await bench.load.run(plan))
      return { values: { 'svid-batch': (perSecond * batch) / signs }, seen: { perSecond, signs, p99Ms } }
    }
  },
}
