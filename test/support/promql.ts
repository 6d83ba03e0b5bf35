/**
 * What a query of PromQL reads, by the grammar that Prometheus' own editor uses.
 *
 * @module
 */
import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { type MetricRow, metrics } from '../../src/core/telemetry.ts'

export interface ReadSeries {
  readonly name: string
  /** Names of the labels that it is chosen by. */
  readonly labels: readonly string[]
  /** Function that its range is given to, such as `rate`; absent for what it is now. */
  readonly over?: string
}

export interface ReadQuery {
  readonly series: readonly ReadSeries[]
  /** Labels that are grouped or matched by. */
  readonly groupedBy: readonly string[]
}

/** @throws {SyntaxError} with the place where it is no PromQL */
export function readPromql(text: string): ReadQuery {
  const series: ReadSeries[] = []
  const groupedBy: string[] = []
  parser.parse(text).iterate({
    enter({ node, name, type, from }) {
      if (type.isError) throw new SyntaxError(`no PromQL at ${from}: ${text.slice(from, from + 40)}`)
      if (name === 'VectorSelector') series.push(readSelector(node, text))
      if (name === 'GroupingLabels') groupedBy.push(...labelsIn(node, text))
    },
  })
  return { series, groupedBy }
}

function readSelector(node: SyntaxNode, text: string): ReadSeries {
  const name = text.slice(node.firstChild?.from, node.firstChild?.to)
  const matchers = node.getChild('LabelMatchers')
  const labels = matchers?.getChildren('UnquotedLabelMatcher').flatMap((matcher) => labelsIn(matcher, text)) ?? []
  const call = node.parent?.name === 'MatrixSelector' ? node.parent.parent?.parent : undefined
  const over = call?.getChild('FunctionIdentifier')
  return { name, labels, ...(over && { over: text.slice(over.from, over.to) }) }
}

const labelsIn = (node: SyntaxNode, text: string) =>
  node.getChildren('LabelName').map(({ from, to }) => text.slice(from, to))

/** Every series that a gateway can have, with its kind and labels. */
export async function knownSeries(): Promise<ReadonlyMap<string, Pick<MetricRow, 'kind' | 'labels'>>> {
  const own = Object.entries<MetricRow>(metrics).flatMap(([name, row]) => seriesOf(name, row.kind, row.labels))
  const register = new Registry()
  collectDefaultMetrics({ register })
  const process = register
    .getMetricsAsArray()
    .flatMap(({ name, type, ...metric }) =>
      seriesOf(name, String(type) as MetricRow['kind'], (metric as unknown as { labelNames: string[] }).labelNames),
    )
  register.clear()
  return new Map([...own, ...process, ['up', { kind: 'gauge', labels: [] }]])
}

function seriesOf(name: string, kind: MetricRow['kind'], labels: readonly string[]) {
  if (kind !== 'histogram') return [[name, { kind, labels }] as const]
  const counters = ['_sum', '_count'].map((suffix) => [name + suffix, { kind: 'counter', labels }] as const)
  return [...counters, [`${name}_bucket`, { kind: 'counter', labels: [...labels, 'le'] }] as const]
}

/** Labels that Prometheus gives, and `--workers`. */
export const outerLabels = ['job', 'instance', 'worker']
