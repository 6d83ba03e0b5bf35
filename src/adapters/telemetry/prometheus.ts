/**
 * Metrics in the Prometheus format: exactly those of the table in `core/telemetry.ts`.
 *
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { type Fields, type MetricName, metrics, type Telemetry } from '../../core/telemetry.ts'

type Measurements = Pick<Telemetry, 'count' | 'gauge' | 'observe'>

export interface PrometheusMetrics extends Measurements {
  readonly expose: () => Promise<{ readonly contentType: string; readonly body: string }>
}

/** Seconds: from a cached answer to one that waited for another service. */
const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const countBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

type Labels = Record<string, string | number>

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
  const counters = new Map<MetricName, Counter>()
  const gauges = new Map<MetricName, Gauge>()
  const histograms = new Map<MetricName, Histogram>()
  /** Gauges without labels change with each request and are read a few times a minute. */
  const latest = new Map<MetricName, number>()

  for (const [key, row] of Object.entries(metrics)) {
    const name = key as MetricName
    const options = { name, help: row.help, labelNames: [...row.labels], registers: [register] }
    if (row.kind === 'counter') counters.set(name, new Counter(options))
    else if (row.kind === 'gauge') gauges.set(name, new Gauge(options))
    else
      histograms.set(
        name,
        new Histogram({ ...options, buckets: name.endsWith('_seconds') ? durationBuckets : countBuckets }),
      )
  }

  return {
    count: (name, labels, by = 1) => counters.get(name)?.inc(plain(labels), by),
    gauge(name, value, labels) {
      if (value === undefined) {
        latest.delete(name)
        gauges.get(name)?.remove(plain(labels))
      } else if (labels === undefined) latest.set(name, value)
      else gauges.get(name)?.set(plain(labels), value)
    },
    observe: (name, value, labels) => histograms.get(name)?.observe(plain(labels), value),
    async expose() {
      for (const [name, value] of latest) gauges.get(name)?.set(value)
      return { contentType: register.contentType, body: await register.metrics() }
    },
  }
}

const plain = (labels: Fields | undefined): Labels => (labels ?? {}) as Labels

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
