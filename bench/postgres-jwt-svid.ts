/**
 * One JWT-SVID for each request, its record in PostgreSQL.
 *
 * @module
 */
import { cores } from './cores.ts'
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { measureBase } from './openssl-speed.ts'
import { jwtRequests } from './request.ts'

export const postgresJwtSvid: Figure = {
  rows: [
    {
      name: 'postgres-jwt-svid',
      what: 'JWT-SVID over HTTP/1.1, all in, on PostgreSQL (unix socket, synchronous_commit=on), 32 connections',
      unit: 'O',
      bound: { kind: 'at least', required: 0.12, aim: 0.2 },
    },
  ],
  async prepare(bench) {
    const { url } = await bench.server({ rules: 1, tls: false, store: await bench.database('one') })
    const plan = { url, requests: jwtRequests(bench.workload), connections: 32, seconds: bench.sliceSeconds }
    await bench.warmUp(plan)
    return async () => {
      const { signs } = await measureBase(cores.server)
      const { perSecond, p99Ms } = requireSuccess(await bench.load.run(plan))
      return { values: { 'postgres-jwt-svid': perSecond / signs }, seen: { perSecond, signs, p99Ms } }
    }
  },
}
