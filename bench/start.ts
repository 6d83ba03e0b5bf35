/**
 * How long a server takes to be ready, beyond what bare Node takes to start, and what memory it then holds.
 *
 * @module
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cores, runOn } from './cores.ts'
import type { Figure } from './figure.ts'
import { residentMemory, startServerProcess } from './server-process.ts'

const settleMs = 2000

export const start: Figure = {
  rows: [
    {
      name: 'start',
      what: 'from the start of the process to ready with an existing store, less that of `node -e 0`',
      unit: 'ms',
      bound: { kind: 'at most', required: 150, aim: 60 },
    },
    {
      name: 'idle-memory',
      what: `resident memory ${settleMs / 1000} s after that, without a request`,
      unit: 'MB',
      bound: { kind: 'at most', required: 85, aim: 65 },
    },
  ],
  async prepare({ folder, workload }) {
    const place = join(folder, 'start')
    const launch = () => startServerProcess(place, workload, { rules: 1, tls: false })
    await rm(place, { recursive: true, force: true })
    await (await launch()).close()
    return async () => {
      const startedMs = performance.now()
      await runOn(cores.server, [process.execPath, '-e', '0'])
      const bareMs = performance.now() - startedMs
      const server = await launch()
      await new Promise((resolve) => setTimeout(resolve, settleMs))
      const memory = residentMemory(server.pid)
      await server.close()
      const { startMs } = server
      return { values: { start: startMs - bareMs, 'idle-memory': memory }, seen: { startMs, bareMs } }
    }
  },
}
