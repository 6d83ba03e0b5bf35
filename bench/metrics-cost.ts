/**
 * What metrics take of the figure for JWT-SVIDs: time on a core for each request, beside the same server without any.
 *
 * A share of throughput would drown in what else the machine does: both servers answer from the same core, one after the
 * other, and the time that each was on it is what counts.
 *
 * @module
 */
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { jwtRequests } from './request.ts'
import { cpuSeconds, type ServerProcess } from './server-process.ts'

const slices = 8

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
    const requests = jwtRequests(bench.workload)
    const planOf = ({ url }: ServerProcess) => ({ url, requests, connections: 32, seconds: bench.sliceSeconds })
    const servers = {
      metered: await bench.server({ rules: 1, tls: false, program: 'metered' }),
      unmetered: await bench.server({ rules: 1, tls: false, program: 'unmetered' }),
    }
    for (const server of Object.values(servers)) await bench.warmUp(planOf(server))

    /** Microseconds on a core for each request. */
    async function costOf(server: ServerProcess): Promise<number> {
      const before = cpuSeconds(server.pid)
      const { perSecond } = requireSuccess(await bench.load.run(planOf(server)))
      return ((cpuSeconds(server.pid) - before) * 1e6) / (perSecond * bench.sliceSeconds)
    }

    return async () => {
      let metered = 0
      let unmetered = 0
      // In turn, and each first as often as second.
      for (let slice = 0; slice < slices; slice++) {
        if (slice % 2 === 0) metered += await costOf(servers.metered)
        unmetered += await costOf(servers.unmetered)
        if (slice % 2 === 1) metered += await costOf(servers.metered)
      }
      const values = { 'metrics-cost': (metered / unmetered - 1) * 100 }
      return { values, seen: { meteredUs: metered / slices, unmeteredUs: unmetered / slices } }
    }
  },
}
