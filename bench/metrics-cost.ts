/**
 * What metrics take of the figure for JWT-SVIDs: time on a core for each request, with metrics that count and with none.
 *
 * A share of throughput would drown in what else the machine does. So one server counts and does not count in turn, the
 * time that it was on its core is what is compared, and the middle of many neighbouring pairs is the result.
 *
 * @module
 */
import { type Figure, median } from './figure.ts'
import { requireSuccess } from './load.ts'
import { jwtRequests } from './request.ts'
import { cpuSeconds } from './server-process.ts'

const pairs = 10

export const metricsCost: Figure = {
  rows: [
    {
      name: 'metrics-cost',
      what: 'more time on a core for a JWT-SVID than without metrics',
      unit: '%',
      bound: { kind: 'at most', required: 2 },
    },
  ],
  async prepare(bench) {
    const { pid, url } = await bench.server({ rules: 1, tls: false, program: 'metered' })
    const plan = { url, requests: jwtRequests(bench.workload), connections: 32, seconds: 1 }
    const toggle = () => process.kill(pid, 'SIGUSR2')
    await bench.warmUp(plan)
    toggle()
    await bench.warmUp(plan)
    toggle()

    /** Microseconds on a core for each request. */
    async function measure(): Promise<number> {
      const before = cpuSeconds(pid)
      const { perSecond } = requireSuccess(await bench.load.run(plan))
      return ((cpuSeconds(pid) - before) * 1e6) / perSecond
    }

    async function measureUnmetered(): Promise<number> {
      toggle()
      try {
        return await measure()
      } finally {
        toggle()
      }
    }

    return async () => {
      const ratios: number[] = []
      const metered: number[] = []
      for (let pair = 0; pair < pairs; pair++) {
        // Each first as often as second.
        const first = pair % 2 === 0 ? await measure() : undefined
        const without = await measureUnmetered()
        const withMetrics = first ?? (await measure())
        ratios.push(withMetrics / without)
        metered.push(withMetrics)
      }
      return { values: { 'metrics-cost': (median(ratios) - 1) * 100 }, seen: { meteredUs: median(metered) } }
    }
  },
}
