/**
 * A thousand federated trust domains: what they add to the start of a server and to its memory once an SVID of each has
 * come in, while their bundles are kept fresh. Memory is that of servers which have both been busy, so that the room that
 * V8 takes for short-lived objects is not counted as theirs.
 *
 * @module
 */
import { join } from 'node:path'
import { startBundleServer } from './bundle-server.ts'
import type { Figure } from './figure.ts'
import { createForeignDomain, type ForeignDomain } from './foreign-domain.ts'
import { jwtRequest } from './request.ts'
import { residentMemory, type ServerProcess, startServerProcess } from './server-process.ts'
import { issuer } from './workload.ts'

const count = 1000
const settleMs = 2000

export const federatedDomains: Figure = {
  rows: [
    {
      name: 'federated-start',
      what: `start with ${count} federated trust domains, each with endpoint, authenticator and rule, less that with one`,
      unit: 'ms',
      bound: { kind: 'at most', required: 1000 },
    },
    {
      name: 'federated-memory',
      what: 'resident memory that each of them adds, once an SVID of each was accepted and both servers were under load',
      unit: 'KB each',
      bound: { kind: 'at most', required: 100 },
    },
  ],
  async prepare({ folder, workload, warmUp }) {
    const others = Array.from({ length: count - 1 }, (_, index) => createForeignDomain(index + 1, new Date()))
    const domains = [workload.foreign, ...(await Promise.all(others))]
    const bundles = await startBundleServer(folder, domains)
    const measure = async (some: readonly ForeignDomain[]) => {
      const place = join(folder, `federated-${some.length}`)
      const server = await startServerProcess(place, workload, { rules: 1, tls: false, domains: some, bundles })
      await acceptEach(server, some)
      const requests = workload.foreign.createTokens(issuer, 1).map(jwtRequest)
      await warmUp({ url: server.url, requests, connections: 32 })
      await new Promise((resolve) => setTimeout(resolve, settleMs))
      const memory = residentMemory(server.pid)
      await server.close()
      return { startMs: server.startMs, memory }
    }
    // From here on the stores hold authorities and bundles.
    for (const some of [domains.slice(0, 1), domains]) await measure(some)
    return async () => {
      const one = await measure(domains.slice(0, 1))
      const all = await measure(domains)
      const kilobytes = ((all.memory - one.memory) * 1000) / (count - 1)
      return {
        values: { 'federated-start': all.startMs - one.startMs, 'federated-memory': kilobytes },
        seen: { startMs: all.startMs, startOfOneMs: one.startMs, memory: all.memory, memoryOfOne: one.memory },
      }
    }
  },
}

/** As many requests however many domains there are, so that what requests leave behind is in both. */
async function acceptEach({ url }: ServerProcess, domains: readonly ForeignDomain[]): Promise<void> {
  for (const domain of domains) {
    for (const token of domain.createTokens(issuer, count / domains.length)) {
      const { method, path, headers, body = '' } = jwtRequest(token)
      const response = await fetch(`${url}${path}`, { method, headers, body })
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`an SVID of ${domain.name} was answered with ${response.status}`)
    }
  }
}
