/**
 * A thousand rules against one: what is left of the throughput.
 *
 * @module
 */
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { jwtRequests } from './request.ts'

export const manyRules: Figure = {
  rows: [
    {
      name: 'many-rules',
      what: 'JWT-SVIDs with 1,000 rules on namespace and service account, against one rule',
      unit: 'of one rule',
      bound: { kind: 'at least', required: 0.75 },
    },
  ],
  async prepare(bench) {
    const one = await bench.server({ rules: 1, tls: false })
    const thousand = await bench.server({ rules: 1000, tls: false })
    const plan = { requests: jwtRequests(bench.workload), connections: 32, seconds: bench.sliceSeconds }
    for (const { url } of [one, thousand]) await bench.warmUp({ ...plan, url })
    return async () => {
      const { perSecond: base } = requireSuccess(await bench.load.run({ ...plan, url: one.url }))
      const { perSecond } = requireSuccess(await bench.load.run({ ...plan, url: thousand.url }))
      return { values: { 'many-rules': perSecond / base }, seen: { perSecond, base } }
    }
  },
}
