/**
 * Load in a closed loop: so many connections, each with its next request as soon as it has an answer. By wrk where it is
 * installed, else by autocannon.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cores, isInstalled, runOn } from './cores.ts'
import type { LoadRequest } from './request.ts'

export const generators = ['wrk', 'autocannon'] as const
export type GeneratorName = (typeof generators)[number]

export interface LoadPlan {
  readonly url: string
  /** Sent in turn. */
  readonly requests: readonly LoadRequest[]
  readonly connections: number
  readonly seconds: number
}

export interface LoadResult {
  /** Answers per second, of any status. */
  readonly perSecond: number
  /** Answers that were not 2xx, and connections that failed. */
  readonly failed: number
  readonly p99Ms: number
}

export interface LoadGenerator {
  readonly name: GeneratorName
  readonly run: (plan: LoadPlan) => Promise<LoadResult>
}

/** @throws {Error} when a `wanted` generator is not installed */
export function createLoadGenerator(folder: string, wanted: GeneratorName | undefined): LoadGenerator {
  const hasWrk = isInstalled('wrk')
  if (wanted === 'wrk' && !hasWrk) throw new Error('wrk is not installed (Debian package wrk)')
  const name = wanted ?? (hasWrk ? 'wrk' : 'autocannon')
  return { name, run: (plan) => (name === 'wrk' ? runWrk(folder, plan) : runAutocannon(folder, plan)) }
}

/** @throws {Error} when an answer was not 2xx: such a load measures something else */
export function requireSuccess(result: LoadResult): LoadResult {
  if (result.failed > 0) throw new Error(`${result.failed} requests of the load failed`)
  return result
}

async function runWrk(folder: string, plan: LoadPlan): Promise<LoadResult> {
  const script = join(folder, 'load.lua')
  await writeFile(script, wrkScript(plan.requests))
  const output = await runOn(cores.load, [
    'wrk',
    '-t1',
    `-c${plan.connections}`,
    `-d${plan.seconds}s`,
    ...['-s', script, plan.url],
  ])
  return readResult(output)
}

async function runAutocannon(folder: string, plan: LoadPlan): Promise<LoadResult> {
  const planFile = join(folder, 'load.json')
  await writeFile(planFile, JSON.stringify(plan))
  const program = join(import.meta.dirname, 'autocannon-load.ts')
  return readResult(await runOn(cores.load, [process.execPath, program, planFile]))
}

function readResult(output: string): LoadResult {
  const line = output.split('\n').find((text) => text.startsWith('{'))
  if (line === undefined) throw new Error(`the load generator said nothing of its result: ${output}`)
  return JSON.parse(line) as LoadResult
}

/** Requests are put together once, so that the generator's core keeps up. */
function wrkScript(requests: readonly LoadRequest[]): string {
  const formatted = requests.map(({ method, path, headers, body }) => {
    const fields = Object.entries(headers).map(([name, value]) => `[${quote(name)}]=${quote(value)}`)
    return `  requests[#requests+1] = wrk.format(${quote(method)}, ${quote(path)}, {${fields.join(',')}}, ${body === undefined ? 'nil' : quote(body)})`
  })
  return `requests = {}
at = 0
function init(args)
${formatted.join('\n')}
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\n{"perSecond":%f,"failed":%d,"p99Ms":%f}\\n',
    summary.requests / summary.duration * 1e6, e.status + e.connect + e.read + e.write + e.timeout,
    latency:percentile(99) / 1000))
end
`
}

/** JSON's escapes of what is sent here are Lua's as well. */
function quote(text: string): string {
  return JSON.stringify(text)
}
