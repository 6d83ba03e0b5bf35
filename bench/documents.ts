/**
 * The bundle and the key set over TLS, on connections that stay open.
 *
 * @module
 */
import { cores } from './cores.ts'
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { measureBase } from './openssl-speed.ts'
import type { LoadRequest } from './request.ts'

const requests: readonly LoadRequest[] = ['/v1/bundle', '/keys'].map((path) => ({ method: 'GET', path, headers: {} }))

export const documents: Figure = {
  rows: [
    {
      name: 'documents',
      what: '/v1/bundle and /keys in turn over TLS 1.3, 32 kept connections',
      unit: 'O',
      bound: { kind: 'at least', required: 0.24, aim: 0.35 },
    },
  ],
  async prepare(bench) {
    const { url } = await bench.server({ rules: 1, tls: true })
    const plan = { url, requests, connections: 32, seconds: bench.sliceSeconds }
    await bench.warmUp(plan)
    return async () => {
      const { signs } = await measureBase(cores.server)
      const { perSecond, p99Ms } = requireSuccess(await bench.load.run(plan))
      return { values: { documents: perSecond / signs }, seen: { perSecond, signs, p99Ms } }
    }
  },
}
