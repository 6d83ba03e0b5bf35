/**
 * How long a JWT-SVID takes at half of the load that the server can carry.
 *
 * @module
 */
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { runOpenLoop } from './offered-load.ts'
import { jwtRequests } from './request.ts'

const connections = 256

export const latency: Figure = {
  rows: [
    {
      name: 'p99',
      what: 'p99 of a JWT-SVID, all in, at half of the saturated load of the same round, arrivals at random',
      unit: 'ms',
      bound: { kind: 'at most', required: 5, aim: 3 },
    },
  ],
  async prepare(bench) {
    const { url, port } = await bench.server({ rules: 1, tls: false })
    const requests = jwtRequests(bench.workload)
    return async () => {
      const saturated = requireSuccess(
        await bench.load.run({ url, requests, connections: 32, seconds: bench.sliceSeconds }),
      ).perSecond
      const result = await runOpenLoop(bench.folder, {
        port,
        requests,
        connections,
        perSecond: saturated / 2,
        warmUpSeconds: 0.5,
        seconds: bench.sliceSeconds,
      })
      if (result.failed > 0 || result.refused > 0) throw new Error('requests failed at half of the saturated load')
      const { acceptedP99Ms, acceptedP50Ms, accepted, unsent } = result
      return { values: { p99: acceptedP99Ms }, seen: { saturated, accepted, unsent, p50Ms: acceptedP50Ms } }
    }
  },
}
