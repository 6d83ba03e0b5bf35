/**
 * A figure: something measured again and again against a base of the same moment, and what it has to reach.
 *
 * @module
 */
import type { Bench } from './bench.ts'

/** What a row has to reach: at least, or at most, `required`; `aim` is where it should get to. */
export interface Bound {
  readonly kind: 'at least' | 'at most'
  readonly required: number
  readonly aim?: number
  /**
   * What shows that something is plainly broken, in place of a share of `required`, where that is near what the engine does
   * by itself: less than `share` of what was `seen` of it in the same round.
   */
  readonly broken?: { readonly seen: string; readonly share: number }
}

/** One line of the table. */
export interface Row {
  readonly name: string
  /** What is measured, for a reader. */
  readonly what: string
  readonly unit: string
  readonly bound: Bound
}

/** One measurement: a value for each row by its name, and what else was seen. */
export interface Sample {
  readonly values: Readonly<Record<string, number>>
  readonly seen: Readonly<Record<string, number>>
}

export interface Figure {
  readonly rows: readonly Row[]
  /** Makes what is measured ready, and answers how to take one sample of it. */
  readonly prepare: (bench: Bench) => Promise<() => Promise<Sample>>
}

export interface RowResult {
  readonly row: Row
  readonly median: number
  readonly min: number
  readonly max: number
  readonly samples: readonly Sample[]
}

export function summarise(row: Row, samples: readonly Sample[]): RowResult {
  const values = samples.map((sample) => sample.values[row.name] ?? Number.NaN).sort((a, b) => a - b)
  return { row, median: median(values), min: values[0] ?? Number.NaN, max: values.at(-1) ?? Number.NaN, samples }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** How strictly results are taken. */
export interface Judgement {
  /** Of an «at least» that has to be reached: 0.8 lets a limit be exceeded by a quarter, 0.5 by all of it. */
  readonly share: number
  /**
   * Only what is plainly broken: an «at least» that not even the best round came near. Latencies and start times of a
   * machine that does other things at the same time say nothing.
   */
  readonly lenient: boolean
}

/** Whether a result is so far off the requirement that it is no noise. */
export function fails(result: RowResult, { share, lenient }: Judgement): boolean {
  const { kind, required } = result.row.bound
  if (kind === 'at most') return !lenient && !(result.median <= required / share)
  return lenient ? isBroken(result, share) : !(result.median >= required * share)
}

function isBroken({ row, max, samples }: RowResult, share: number): boolean {
  const { required, broken } = row.bound
  if (broken === undefined) return !(max >= required * share)
  return !samples.some(
    ({ values, seen }) => (values[row.name] ?? Number.NaN) >= broken.share * (seen[broken.seen] ?? Number.NaN),
  )
}
