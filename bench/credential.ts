/**
 * One credential of a cloud for each request, had before: proof seen before, rules, policy, durable record.
 *
 * @module
 */
import { cores } from './cores.ts'
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { measureBase } from './openssl-speed.ts'
import type { LoadRequest } from './request.ts'
import { cpuSeconds } from './server-process.ts'

export const credential: Figure = {
  rows: [
    {
      name: 'credential',
      what: 'cached credential of AWS over HTTP/1.1, all in, 32 connections',
      unit: 'O',
      bound: { kind: 'at least', required: 0.18 },
    },
  ],
  async prepare(bench) {
    const { server, path, takeExchanges } = await bench.cloud()
    // As the SDKs of AWS send it.
    const request: LoadRequest = { method: 'GET', path, headers: { authorization: bench.workload.token } }
    const plan = { url: server.url, requests: [request], connections: 32, seconds: bench.sliceSeconds }
    await bench.warmUp(plan)
    takeExchanges()
    return async () => {
      const { signs } = await measureBase(cores.server)
      const busyBefore = cpuSeconds(server.pid)
      const { perSecond, p99Ms } = requireSuccess(await bench.load.run(plan))
      const busy = cpuSeconds(server.pid) - busyBefore
      if (takeExchanges().size > 0) throw new Error('what was to come from the cache was exchanged')
      const cpuMicroseconds = (busy * 1e6) / (perSecond * plan.seconds)
      return { values: { credential: perSecond / signs }, seen: { perSecond, signs, p99Ms, cpuMicroseconds } }
    }
  },
}
