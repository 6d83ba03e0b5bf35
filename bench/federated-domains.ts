/**
 * A thousand federated trust domains: what they add to the start of a server and to its memory once an SVID of each has
 * come in, while their bundles are kept fresh.
 *
 * V8 gives a process that was busy for a moment several times the room for short-lived objects, and does not take it back.
 * Reading a large configuration does that as a burst of requests does, so memory is compared with that room held to one
 * size.
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
const sameRoom = '--max-semi-space-size=8' // MB

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
      what: 'resident memory that each adds once an SVID of it was accepted, V8 with the same room for short-lived objects',
      unit: 'KB each',
      bound: { kind: 'at most', required: 100 },
    },
  ],
  async prepare({ folder, workload }) {
    const others = Array.from({ length: count - 1 }, (_, index) => createForeignDomain(index + 1, new Date()))
    const domains = [workload.foreign, ...(await Promise.all(others))]
    const bundles = await startBundleServer(folder, domains)
    const launch = (some: readonly ForeignDomain[], nodeOptions = '') =>
      startServerProcess(join(folder, `federated-${some.length}`), workload, {
        rules: 1,
        tls: false,
        domains: some,
        bundles,
        nodeOptions,
      })
    const [one, all] = [domains.slice(0, 1), domains]
    // From here on the stores hold authorities and bundles.
    for (const some of [one, all]) await measureMemory(await launch(some), some)
    return async () => {
      const startOfOneMs = await measureStart(await launch(one))
      const startMs = await measureStart(await launch(all))
      const memoryOfOne = await measureMemory(await launch(one, sameRoom), one)
      const memory = await measureMemory(await launch(all, sameRoom), all)
      return {
        values: {
          'federated-start': startMs - startOfOneMs,
          'federated-memory': ((memory - memoryOfOne) * 1000) / (count - 1),
        },
        seen: { startMs, startOfOneMs, memory, memoryOfOne },
      }
    }
  },
}

async function measureStart({ startMs, close }: ServerProcess): Promise<number> {
  await close()
  return startMs
}

async function measureMemory(server: ServerProcess, domains: readonly ForeignDomain[]): Promise<number> {
  await acceptEach(server, domains)
  await new Promise((resolve) => setTimeout(resolve, settleMs))
  const memory = residentMemory(server.pid)
  await server.close()
  return memory
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
