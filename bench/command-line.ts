/**
 * How long short commands take beyond bare Node, as a shell sees it: on all cores, as V8 compiles and collects beside.
 *
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { allCores, runOn } from './cores.ts'
import type { Figure } from './figure.ts'
import { serverProgram } from './server-process.ts'
import { createConfiguration } from './workload.ts'

const rules = 1000

export const commandLine: Figure = {
  rows: [
    {
      name: 'help-start',
      what: '`apostille --help`, less `node -e 0`',
      unit: 'ms',
      bound: { kind: 'at most', required: 60 },
    },
    {
      name: 'check-1000',
      what: '`apostille check` of 1,000 rules, less `node -e 0`',
      unit: 'ms',
      bound: { kind: 'at most', required: 300 },
    },
  ],
  async prepare({ folder, workload }) {
    const place = join(folder, 'command-line')
    const document = join(place, 'apostille.yaml')
    await mkdir(place, { recursive: true })
    await writeFile(document, createConfiguration({ rules, tls: false, port: 443 }))
    await writeFile(join(place, 'jwks.json'), workload.jwks)
    const { file } = serverProgram()
    const run = async (...args: readonly string[]) => {
      const startedMs = performance.now()
      await runOn(allCores, [process.execPath, ...args])
      return performance.now() - startedMs
    }
    // Compiled code of earlier runs is used again, as it is for everybody but the first.
    await run(file, '--help')
    await run(file, 'check', document)
    return async () => {
      const bareMs = await run('-e', '0')
      const helpMs = await run(file, '--help')
      const checkMs = await run(file, 'check', document)
      return {
        values: { 'help-start': helpMs - bareMs, 'check-1000': checkMs - bareMs },
        seen: { bareMs, helpMs, checkMs },
      }
    }
  },
}
