/**
 * What V8's small collections, which look at new objects only, leave behind.
 *
 * @module
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const rounds = 20
const perRound = 100

/**
 * Kilobytes of heap for each time that `work` ran, after small collections only. What it is given is about 8 kB and new
 * each time; a full collection before makes all that is there old.
 */
export function keptKilobytes(work: (load: readonly number[]) => void): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options?: { readonly type: 'minor' }) => void
  const run = () => {
    for (let at = 0; at < perRound; at++) work(Array.from({ length: 1000 }, (_, index) => index + at))
    collect({ type: 'minor' })
  }
  run()
  collect()
  const before = process.memoryUsage().heapUsed
  for (let round = 0; round < rounds; round++) run()
  return (process.memoryUsage().heapUsed - before) / 1000 / (rounds * perRound)
}
