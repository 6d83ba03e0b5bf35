import { describe, expect, test } from 'vitest'
import { labels } from '../../scripts/metrics-page.ts'
import { type MetricRow, metrics, silentTelemetry, traced } from '../../src/core/telemetry.ts'

describe.each(Object.entries<MetricRow>(metrics))('%s', (name, { kind, help, labels: names }) => {
  // https://prometheus.io/docs/practices/naming/
  test('is named as the kind of metric that it is', () => {
    expect(name).toMatch(/^apostille_[a-z0-9]+(?:_[a-z0-9]+)*$/)
    expect(name.endsWith('_total')).toBe(kind === 'counter')
    expect(name).not.toMatch(/_(?:ms|milliseconds|minutes|hours|kilobytes|percent|count|sum|bucket)$/)
    if (name.includes('duration')) expect([kind, name.endsWith('_duration_seconds')]).toEqual(['histogram', true])
    if (name.includes('timestamp')) expect([kind, name.endsWith('_timestamp_seconds')]).toEqual(['gauge', true])
  })

  test('says in a sentence what it is', () => {
    expect(help).toMatch(/^[A-Z0-9].*\.$/)
  })

  test('has labels that are described', () => {
    for (const label of names) expect([label, labels[label] ?? '']).toEqual([label, expect.stringMatching(/\.$/)])
    expect(names).not.toContain('le')
  })
})

test('a phase is the work alone where nothing is traced', () => {
  expect(traced(silentTelemetry, 'issue', () => 7)).toBe(7)
  expect(traced({ trace: (phase, work) => [phase, work()] as never }, 'issue', () => 7)).toEqual(['issue', 7])
})
