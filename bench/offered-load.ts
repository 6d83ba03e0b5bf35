/**
 * Runs a load of a fixed rate in a process of its own, on the core of the load.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cores, runOn } from './cores.ts'
import type { OpenLoopPlan, OpenLoopResult } from './open-loop.ts'

export async function runOpenLoop(folder: string, plan: OpenLoopPlan): Promise<OpenLoopResult> {
  const planFile = join(folder, 'open-loop.json')
  await writeFile(planFile, JSON.stringify(plan))
  const program = join(import.meta.dirname, 'open-loop.ts')
  return JSON.parse(await runOn(cores.load, [process.execPath, program, planFile])) as OpenLoopResult
}
