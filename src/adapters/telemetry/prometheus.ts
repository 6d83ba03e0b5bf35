/**
 * Metrics in the Prometheus format: exactly those of the table in `core/telemetry.ts`.
 *
 * `prom-client` writes them down and measures the process. What is counted with each request is kept here, as its own
 * counters make a text of all labels each time, which came to a twentieth of a request.
 *
 * @module
 */
import { type Metric, Registry } from 'prom-client'
import { type Fields, type MetricName, type MetricRow, metrics, type Telemetry } from '../../core/telemetry.ts'
import { createSeries, type Labels, type Series } from './series.ts'

type Measurements = Pick<Telemetry, 'count' | 'gauge' | 'observe'>

export interface PrometheusMetrics extends Measurements {
  readonly expose: () => Promise<{ readonly contentType: string; readonly body: string }>
}

/** Seconds: from a cached answer to one that waited for another service. */
const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const countBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

interface Sum {
  value: number
}

interface Distribution {
  /** How many were at most each bound and above the one before; beyond the last bound in one more. */
  readonly counts: number[]
  sum: number
}

interface Sample {
  readonly metricName?: string
  readonly labels: Labels
  readonly value: number
}

const none: Fields = {}

/**
 * @param defaults Adds metrics of the process itself to the registry.
 * @param labels Of every series, such as which of several processes it is.
 */
export function createPrometheusMetrics(
  defaults: (register: Registry) => void,
  labels: Readonly<Record<string, string>> = {},
): PrometheusMetrics {
  const register = new Registry()
  register.setDefaultLabels(labels)
  defaults(register)
  const sums = new Map<MetricName, Series<Sum>>()
  const distributions = new Map<
    MetricName,
    { readonly series: Series<Distribution>; readonly bounds: readonly number[] }
  >()

  for (const [key, row] of Object.entries<MetricRow>(metrics)) {
    const name = key as MetricName
    const { kind, labels } = row
    if (kind === 'histogram') {
      const bounds = name.endsWith('_seconds') ? durationBuckets : countBuckets
      const series = createSeries<Distribution>(labels, () => ({ counts: [...bounds, 0].map(() => 0), sum: 0 }))
      distributions.set(name, { series, bounds })
      expose(register, name, row, () => series.entries().flatMap((entry) => bucketsOf(name, bounds, entry)))
    } else {
      const series = createSeries<Sum>(labels, () => ({ value: 0 }))
      sums.set(name, series)
      // A counter is there before it first counts, so that its first step is seen.
      if (kind === 'counter' && labels.length === 0) series.cell(none)
      expose(register, name, row, () => series.entries().map(([at, { value }]) => ({ labels: at, value })))
    }
  }

  return {
    count(name, labels = none, by = 1) {
      const cell = sums.get(name)?.cell(labels)
      if (cell) cell.value += by
    },
    gauge(name, value, labels = none) {
      const series = sums.get(name)
      if (series === undefined) return
      if (value === undefined) series.delete(labels)
      else series.cell(labels).value = value
    },
    observe(name, value, labels = none) {
      const found = distributions.get(name)
      if (found === undefined) return
      const { series, bounds } = found
      const cell = series.cell(labels)
      let at = 0
      while (at < bounds.length && value > (bounds[at] ?? 0)) at++
      cell.counts[at] = (cell.counts[at] ?? 0) + 1
      cell.sum += value
    },
    expose: async () => ({ contentType: register.contentType, body: await register.metrics() }),
  }
}

/** As the registry asks its own metrics. */
function expose(
  register: Registry,
  name: MetricName,
  { kind, help }: MetricRow,
  values: () => readonly Sample[],
): void {
  const metric = { name, get: async () => ({ name, help, type: kind, values: values() }) }
  register.registerMetric(metric as unknown as Metric)
}

function bucketsOf(
  name: MetricName,
  bounds: readonly number[],
  [labels, { counts, sum }]: readonly [Labels, Distribution],
): readonly Sample[] {
  let total = 0
  const buckets = counts.map((count, at): Sample => {
    total += count
    return { metricName: `${name}_bucket`, labels: { le: bounds[at] ?? '+Inf', ...labels }, value: total }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: total },
  ]
}

/** The texts of several processes, whose labels tell their series apart, as one: each metric with its help and kind once. */
export function mergeExpositions(texts: readonly string[]): string {
  const families = new Map<string, { readonly head: string; readonly series: string[] }>()
  for (const family of texts.flatMap((text) => text.split(/\n+(?=# HELP )/))) {
    const [help = '', type = '', ...series] = family.trimEnd().split('\n')
    const known = families.get(help) ?? { head: `${help}\n${type}`, series: [] }
    known.series.push(...series)
    families.set(help, known)
  }
  return [...families.values()].map(({ head, series }) => `${[head, ...series].join('\n')}\n`).join('\n')
}
