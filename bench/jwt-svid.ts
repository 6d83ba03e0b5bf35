/**
 * One JWT-SVID for each request: proof seen before, rules, policy, durable record.
 *
 * @module
 */
import { cores } from './cores.ts'
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { measureBase } from './openssl-speed.ts'
import { jwtRequests } from './request.ts'

export const jwtSvid: Figure = {
  rows: [
    {
      name: 'jwt-svid',
      what: 'JWT-SVID over HTTP/1.1, all in, 32 connections',
      unit: 'O',
      bound: { kind: 'at least', required: 0.18, aim: 0.3 },
    },
  ],
  async prepare(bench) {
    const { url } = await bench.server({ rules: 1, tls: false })
    const plan = { url, requests: jwtRequests(bench.workload), connections: 32, seconds: bench.sliceSeconds }
    await bench.warmUp(plan)
    return async () => {
      const { signs } = await measureBase(cores.server)
      const { perSecond, p99Ms } = requireSuccess(await bench.load.run(plan))
      return { values: { 'jwt-svid': perSecond / signs }, seen: { perSecond, signs, p99Ms } }
    }
  },
}
