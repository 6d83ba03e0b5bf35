/**
 * What targets of every cloud add to the start of a server that nobody has asked for a credential yet: their libraries are
 * loaded at the first exchange.
 *
 * @module
 */
import { join } from 'node:path'
import type { Figure } from './figure.ts'
import { cpuSeconds, startServerProcess } from './server-process.ts'
import type { Targets } from './workload.ts'

const id = '11111111-2222-3333-4444-555555555555'
const provider = 'projects/123456789/locations/global/workloadIdentityPools/apostille/providers/apostille'
const everyCloud: Targets = {
  s3: { type: 'aws', role_arn: 'arn:aws:iam::123456789012:role/payments', region: 'eu-west-1' },
  vault: { type: 'azure', tenant: id, client_id: id },
  bucket: { type: 'gcp', provider },
}

export const startWithTargets: Figure = {
  rows: [
    {
      name: 'start-with-targets',
      what: 'time on a core until ready with a target of each cloud, none of them used, less that without targets',
      unit: 'ms',
      bound: { kind: 'at most', required: 15 },
    },
  ],
  async prepare({ folder, workload }) {
    const measure = async (targets: Targets) => {
      const place = join(folder, `start-${Object.keys(targets).length}-targets`)
      const server = await startServerProcess(place, workload, { rules: 1, tls: false, targets })
      const busyMs = cpuSeconds(server.pid) * 1000
      await server.close()
      return busyMs
    }
    // From here on the stores hold authorities.
    for (const targets of [{}, everyCloud]) await measure(targets)
    let withFirst = false
    return async () => {
      withFirst = !withFirst
      const early = withFirst ? await measure(everyCloud) : undefined
      const without = await measure({})
      const withTargets = early ?? (await measure(everyCloud))
      return { values: { 'start-with-targets': withTargets - without }, seen: { withTargets, without } }
    }
  },
}
