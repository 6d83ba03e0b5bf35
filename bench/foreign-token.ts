/**
 * One JWT-SVID of ours for each JWT-SVID of another trust domain, none of which the server has seen before: its signature
 * verified, rules, policy, durable record.
 *
 * @module
 */
import type { Bench } from './bench.ts'
import { cores } from './cores.ts'
import type { Figure } from './figure.ts'
import { runOpenLoop } from './offered-load.ts'
import { type Base, measureBase } from './openssl-speed.ts'
import { jwtRequest } from './request.ts'
import { cpuSeconds } from './server-process.ts'
import { issuer } from './workload.ts'

const warmUpSeconds = 0.3

export const foreignToken: Figure = {
  rows: [
    {
      name: 'foreign-token',
      what: 'foreign JWT-SVID, each seen for the first time → JWT-SVID over HTTP/1.1, all in, 32 connections',
      unit: 'O',
      bound: { kind: 'at least', required: 0.12 },
    },
  ],
  async prepare(bench) {
    const { url, port, pid } = await bench.server({ rules: 1, tls: false, domains: [bench.workload.foreign] })
    await warmUp(bench, url, port)
    return async () => {
      const base = await measureBase(cores.server)
      const busyBefore = cpuSeconds(pid)
      const { accepted, acceptedP50Ms, acceptedP99Ms } = await exchange(bench, port, base, bench.sliceSeconds)
      const busy = cpuSeconds(pid) - busyBefore
      return {
        values: { 'foreign-token': accepted / base.signs },
        seen: {
          perSecond: accepted,
          signs: base.signs,
          ofCheckedSigns: accepted / base.checkedSigns,
          cpuMicroseconds: (busy * 1e6) / (accepted * (bench.sliceSeconds + warmUpSeconds)),
          p50Ms: acceptedP50Ms,
          p99Ms: acceptedP99Ms,
        },
      }
    }
  },
}

/**
 * A token that was seen before makes what every request does into optimised code, in a fraction of the time; the rest is
 * only done by new ones, of which it takes tens of thousands.
 */
async function warmUp(bench: Bench, url: string, port: number): Promise<void> {
  const seen = bench.workload.foreign.createTokens(issuer, 1).map(jwtRequest)
  await bench.warmUp({ url, requests: seen, connections: 32 })
  const base = await measureBase(cores.server)
  for (let slice = 0; slice < 5; slice++) await exchange(bench, port, base, bench.sliceSeconds * 2)
}

/** With as many tokens as a server could take that did nothing but verify and sign. */
async function exchange({ folder, workload }: Bench, port: number, { checkedSigns }: Base, seconds: number) {
  const count = Math.ceil(checkedSigns * (warmUpSeconds + seconds))
  const requests = workload.foreign.createTokens(issuer, count).map(jwtRequest)
  const plan = { port, requests, once: true, connections: 32, warmUpSeconds, seconds }
  const result = await runOpenLoop(folder, plan)
  if (result.failed + result.refused > 0) throw new Error('requests with a foreign token failed')
  return result
}
