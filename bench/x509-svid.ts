/**
 * One X.509-SVID for each request, its CSR checked: proof seen before, rules, policy, durable record.
 *
 * @module
 */
import { cores } from './cores.ts'
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { measureBase } from './openssl-speed.ts'
import { x509Requests } from './request.ts'

export const x509Svid: Figure = {
  rows: [
    {
      name: 'x509-svid',
      what: 'X.509-SVID by CSR over HTTP/1.1, all in, 32 connections',
      unit: 'C',
      bound: { kind: 'at least', required: 0.28, aim: 0.45 },
    },
  ],
  async prepare(bench) {
    const { url } = await bench.server({ rules: 1, tls: false })
    const plan = { url, requests: x509Requests(bench.workload), connections: 32, seconds: bench.sliceSeconds }
    await bench.warmUp(plan)
    return async () => {
      const { checkedSigns } = await measureBase(cores.server)
      const { perSecond, p99Ms } = requireSuccess(await bench.load.run(plan))
      return { values: { 'x509-svid': perSecond / checkedSigns }, seen: { perSecond, checkedSigns, p99Ms } }
    }
  },
}
