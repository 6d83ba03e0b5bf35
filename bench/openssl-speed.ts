/**
 * The base of every figure: what `openssl speed` does with P-256 in the same minute, on the same core.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { runOn } from './cores.ts'

/** Per second, on one core. */
export interface Base {
  /** O: signatures. */
  readonly signs: number
  /** V: verifications. */
  readonly verifies: number
  /** C: a verification and a signature together, 1/(1/O + 1/V). */
  readonly checkedSigns: number
}

/** By the wall clock, as requests are counted, so that whatever else the machine does weighs on both alike. */
export async function measureBase(core: number): Promise<Base> {
  const output = await runOn(core, ['openssl', 'speed', '-mr', '-elapsed', '-seconds', '1', 'ecdsap256'])
  const [, signs, verifies] = /^\+F4:\d+:256:([\d.]+):([\d.]+)$/m.exec(output)?.map(Number) ?? []
  if (!signs || !verifies) throw new Error('the output of openssl speed has no P-256 in it')
  return { signs, verifies, checkedSigns: 1 / (1 / signs + 1 / verifies) }
}

export function opensslVersion(): string {
  return spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout.trim()
}
