import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { describe, expect, test } from 'vitest'
import dashboard from '../../deploy/grafana/apostille.json' with { type: 'json' }
import { refusals } from '../../src/core/refusal.ts'
import { type MetricRow, metrics } from '../../src/core/telemetry.ts'
import { knownSeries, outerLabels, readPromql } from '../support/promql.ts'

const root = join(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook_url: string }
}

const { groups } = load(read('deploy/prometheus/alerts.yaml')) as {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[]
}
const rules = groups.flatMap(({ rules }) => rules)
const known = await knownSeries()

interface Panel {
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}
const panels = dashboard.panels as readonly Panel[]
const queries = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }) => ({
    title: `${title}: ${legendFormat}`,
    expr: expr.replaceAll('$__rate_interval', '5m'),
    legend: legendFormat,
  })),
)

/** What a query gets wrong of the metrics that there are. */
function findFaults(expr: string): readonly string[] {
  const { series, groupedBy } = readPromql(expr)
  const labels = new Set(['le', ...outerLabels, ...series.flatMap(({ name }) => known.get(name)?.labels ?? [])])
  return [
    ...series.flatMap(({ name, labels: used, over }) => {
      const metric = known.get(name)
      if (metric === undefined) return [`there is no ${name}`]
      const unknown = used.filter((label) => ![...metric.labels, ...outerLabels].includes(label))
      const isRate = over === 'rate' || over === 'increase'
      return [
        ...unknown.map((label) => `${name} has no label ${label}`),
        ...((metric.kind === 'counter') === isRate
          ? []
          : [`${name} is a ${metric.kind}, and ${over ?? 'taken as it is'}`]),
      ]
    }),
    ...groupedBy.filter((label) => !labels.has(label)).map((label) => `nothing here has the label ${label}`),
  ]
}

/** The words that the page of metrics has for a label; the codes of refusals are a table of their own. */
const valuesOf = new Map<string, readonly string[]>([
  ...[...read('docs/metrics.md').matchAll(/^\| `(\w+)` \| ([^|]*) \|$/gm)].map(
    ([, label = '', text = '']) => [label, [...text.matchAll(/`([\w.]+)`/g)].map(([, word = '']) => word)] as const,
  ),
  ['code', Object.keys(refusals)],
])

/** Values that a query asks a label for, and that it never has. Those of `status` and of names are not known here. */
function findUnknownValues(expr: string): readonly string[] {
  const matchers = [...expr.matchAll(/\b(\w+)(?:=~|!~|!=|=)"([^"]*)"/g)]
  return matchers.flatMap(([, label = '', values = '']) => {
    const all = label === 'status' ? undefined : valuesOf.get(label)
    return values.split('|').filter((value) => all !== undefined && !all.includes(value))
  })
}

test('values that a label never has are found', () => {
  expect(findUnknownValues('x{code="proof_rejected",result!~"hit|none",source="self"}')).toEqual(['none'])
  expect([...valuesOf.keys()]).toEqual(expect.arrayContaining(['result', 'state', 'source', 'operation', 'code']))
})

describe('alert rules', () => {
  test.each([...rules, ...queries])('$expr asks for values that there are', ({ expr }) => {
    expect(findUnknownValues(expr)).toEqual([])
  })

  test.each(rules)('$alert reads metrics that there are, as the kinds that they are', ({ expr }) => {
    expect(findFaults(expr)).toEqual([])
  })

  test.each(rules)('$alert has a severity, words of the labels that it leaves, and a way to what to do', (rule) => {
    expect(['warning', 'critical']).toContain(rule.labels.severity)
    const { series, groupedBy } = readPromql(rule.expr)
    const labels = [...outerLabels, ...groupedBy, ...series.flatMap(({ name }) => known.get(name)?.labels ?? [])]
    for (const [, label] of rule.annotations.summary.matchAll(/\$labels\.(\w+)/g)) expect(labels).toContain(label)
    expect(rule.annotations.runbook_url).toBe(`docs/alerts.md#${rule.alert.toLowerCase()}`)
    if (rule.for !== undefined) expect(rule.for).toMatch(/^\d+[mh]$/)
  })

  test('each has its part of the page, and each part its rule', () => {
    const headings = [...read('docs/alerts.md').matchAll(/^## (\w+)$/gm)].map(([, heading]) => heading)
    expect(headings).toEqual(rules.map(({ alert }) => alert))
  })
})

describe('the dashboard', () => {
  test.each(queries)('$title reads metrics that there are', ({ expr, legend }) => {
    expect(findFaults(expr)).toEqual([])
    const { series, groupedBy } = readPromql(expr)
    const left = groupedBy.length > 0 ? groupedBy : series.flatMap(({ name }) => known.get(name)?.labels ?? [])
    for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g)) expect([...left, ...outerLabels]).toContain(label)
  })

  test('shows every metric', () => {
    const shown = new Set(queries.flatMap(({ expr }) => readPromql(expr).series.map(({ name }) => name)))
    const names = Object.entries<MetricRow>(metrics).filter(
      ([name, { kind }]) =>
        ![name, ...(kind === 'histogram' ? [`${name}_bucket`, `${name}_sum`] : [])].some((one) => shown.has(one)),
    )
    expect(names.map(([name]) => name)).toEqual([])
  })

  test('has no panels over each other', () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24)
  })
})

test.each([
  ['rate(apostille_issued_total{operation="x"}[5m])', []],
  ['rate(apostille_nothing_total[5m])', ['there is no apostille_nothing_total']],
  ['rate(apostille_issued_total{code="x"}[5m])', ['apostille_issued_total has no label code']],
  ['apostille_issued_total > 1', ['apostille_issued_total is a counter, and taken as it is']],
  ['rate(apostille_config_valid[5m])', ['apostille_config_valid is a gauge, and rate']],
  ['sum by (route) (rate(apostille_issued_total[5m]))', ['nothing here has the label route']],
])('what is wrong with %s is found', (expr, faults) => {
  expect(findFaults(expr)).toEqual(faults)
})

test('what is no PromQL is found', () => {
  expect(() => readPromql('sum by (a (b)')).toThrow(SyntaxError)
})
