/**
 * A JWT-SVID for the X.509-SVID of another trust domain, shown as client certificate on connections that stay open, against
 * one for a JWT-SVID of the same workload in each request.
 *
 * @module
 */
import type { Bench } from './bench.ts'
import type { Figure } from './figure.ts'
import { runOpenLoop } from './offered-load.ts'
import type { OpenLoopPlan } from './open-loop.ts'
import { jwtRequest } from './request.ts'
import { cpuSeconds, type ServerProcess } from './server-process.ts'
import { issuer } from './workload.ts'

const warmUpSeconds = 0.3

type Proof = Pick<OpenLoopPlan, 'tls' | 'requests'>

export const mtls: Figure = {
  rows: [
    {
      name: 'mtls',
      what: 'JWT-SVID over TLS 1.3 for a foreign X.509-SVID on 32 kept connections, against a bearer proof seen before',
      unit: 'of bearer',
      bound: { kind: 'at least', required: 1 },
    },
  ],
  async prepare(bench) {
    const { foreign } = bench.workload
    const server = await bench.server({ rules: 1, tls: true, domains: [foreign] })
    const bearer: Proof = { tls: {}, requests: foreign.createTokens(issuer, 1).map(jwtRequest) }
    const certificate: Proof = { tls: foreign.certificate, requests: [jwtRequest(undefined)] }
    for (const proof of [bearer, certificate]) await measure(bench, server, proof, bench.sliceSeconds * 3)
    let isBearerFirst = false
    return async () => {
      // What a machine does to the second of two slices is not to be held against one of them.
      isBearerFirst = !isBearerFirst
      const early = isBearerFirst ? await measure(bench, server, bearer) : undefined
      const shown = await measure(bench, server, certificate)
      const base = early ?? (await measure(bench, server, bearer))
      return {
        values: { mtls: shown.perSecond / base.perSecond },
        seen: {
          perSecond: shown.perSecond,
          base: base.perSecond,
          cpuMicroseconds: shown.cpuMicroseconds,
          baseCpuMicroseconds: base.cpuMicroseconds,
        },
      }
    }
  },
}

async function measure(bench: Bench, { port, pid }: ServerProcess, proof: Proof, seconds = bench.sliceSeconds) {
  const plan = { ...proof, port, connections: 32, warmUpSeconds, seconds }
  const busyBefore = cpuSeconds(pid)
  const { accepted, failed, refused } = await runOpenLoop(bench.folder, plan)
  if (failed + refused > 0) throw new Error('requests over TLS failed')
  const busy = cpuSeconds(pid) - busyBefore
  return { perSecond: accepted, cpuMicroseconds: (busy * 1e6) / (accepted * (seconds + warmUpSeconds)) }
}
