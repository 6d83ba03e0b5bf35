/**
 * Twice the load that the server can carry: what it still does, and how fast for whom it takes.
 *
 * @module
 */
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { runOpenLoop } from './offered-load.ts'
import { jwtRequests } from './request.ts'

/** More than are ever busy with what the server has accepted. */
const connections = 2000

export const overload: Figure = {
  rows: [
    {
      name: 'overload',
      what: `JWT-SVIDs at twice the saturated load, offered over ${connections} connections, against the saturated load`,
      unit: 'of saturated',
      bound: { kind: 'at least', required: 0.8 },
    },
    {
      name: 'overload-p99',
      what: 'p99 of those that were accepted; the others have 503 with Retry-After',
      unit: 'ms',
      bound: { kind: 'at most', required: 250 },
    },
  ],
  async prepare(bench) {
    const { url, port } = await bench.server({ rules: 1, tls: false })
    const requests = jwtRequests(bench.workload)
    return async () => {
      const saturated = requireSuccess(
        await bench.load.run({ url, requests, connections: 32, seconds: bench.sliceSeconds }),
      ).perSecond
      const { accepted, refused, unsent, offered, failed, acceptedP99Ms, refusedP99Ms } = await runOpenLoop(
        bench.folder,
        {
          port,
          requests,
          connections,
          perSecond: saturated * 2,
          warmUpSeconds: 1,
          seconds: bench.sliceSeconds,
        },
      )
      return {
        values: { overload: accepted / saturated, 'overload-p99': acceptedP99Ms },
        seen: { saturated, offered, unsent, accepted, refused, failed, refusedP99Ms },
      }
    }
  },
}
