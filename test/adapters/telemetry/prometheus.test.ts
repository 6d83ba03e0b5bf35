import { expect, test } from 'vitest'
import { createPrometheusMetrics, mergeExpositions } from '../../../src/adapters/telemetry/prometheus.ts'
import { metrics } from '../../../src/core/telemetry.ts'

const registry = () => createPrometheusMetrics(() => {})
const linesOf = async ({ expose }: ReturnType<typeof registry>, name: string) =>
  (await expose()).body.split('\n').filter((line) => line.startsWith(name))

test('exposes every metric of the table, with its kind', async () => {
  const { contentType, body } = await registry().expose()
  expect(contentType).toMatch(/^text\/plain/)
  for (const [name, { kind }] of Object.entries(metrics)) expect(body).toContain(`# TYPE ${name} ${kind}\n`)
})

test('counts, and observes durations in seconds', async () => {
  const measured = registry()
  measured.count('apostille_issued_total', { operation: 'jwt_svid' })
  measured.count('apostille_issued_total', { operation: 'jwt_svid' }, 2)
  measured.observe('apostille_http_request_duration_seconds', 0.02, { route: '/token' })
  expect(await linesOf(measured, 'apostille_issued_total')).toEqual(['apostille_issued_total{operation="jwt_svid"} 3'])
  const durations = await linesOf(measured, 'apostille_http_request_duration_seconds')
  expect(durations).toContain('apostille_http_request_duration_seconds_bucket{le="0.025",route="/token"} 1')
  expect(durations).toContain('apostille_http_request_duration_seconds_sum{route="/token"} 0.02')
})

test('a gauge has its last value, and no series any more once it has none', async () => {
  const measured = registry()
  const gauge = (value: number | undefined, state: string) =>
    measured.gauge('apostille_authority_expiry_timestamp_seconds', value, { ring: 'x509', state })
  gauge(1, 'active')
  gauge(2, 'active')
  gauge(3, 'prepared')
  gauge(undefined, 'prepared')
  gauge(undefined, 'retiring')
  expect(await linesOf(measured, 'apostille_authority_expiry')).toEqual([
    'apostille_authority_expiry_timestamp_seconds{ring="x509",state="active"} 2',
  ])
})

test('a gauge without labels is as it was last set', async () => {
  const measured = registry()
  measured.gauge('apostille_http_requests_in_flight', 3)
  measured.gauge('apostille_http_requests_in_flight', 1)
  expect(await linesOf(measured, 'apostille_http_requests_in_flight')).toEqual(['apostille_http_requests_in_flight 1'])
})

test('each value falls into the first bucket that is not below it, and buckets add up', async () => {
  const measured = registry()
  for (const seconds of [0, 0.0005, 0.0006, 10, 11])
    measured.observe('apostille_store_commit_duration_seconds', seconds)
  const lines = await linesOf(measured, 'apostille_store_commit_duration_seconds')
  expect(lines.map((line) => line.replace('apostille_store_commit_duration_seconds_', ''))).toEqual([
    'bucket{le="0.0005"} 2',
    ...['0.001', '0.0025', '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5'].map(
      (bound) => `bucket{le="${bound}"} 3`,
    ),
    'bucket{le="10"} 4',
    'bucket{le="+Inf"} 5',
    'sum 21.0011',
    'count 5',
  ])
})

test('a counter without labels is there before it counts, so that its first step is one', async () => {
  expect(await linesOf(registry(), 'apostille_http_requests_shed_total')).toEqual([
    'apostille_http_requests_shed_total 0',
  ])
})

test('values of labels are escaped', async () => {
  const measured = registry()
  measured.count('apostille_issued_total', { operation: 'a"b\\c\nd' })
  expect(await linesOf(measured, 'apostille_issued_total')).toEqual([
    'apostille_issued_total{operation="a\\"b\\\\c\\nd"} 1',
  ])
})

test.each([
  ['none', {}],
  ['too few', { operation: 'jwt_svid' }],
  ['others', { operation: 'jwt_svid', reason: 'x' }],
])('a bug that gives %s of the labels is told', (_, labels) => {
  expect(() => registry().count('apostille_refusals_total', labels)).toThrow('expected the labels operation, code')
})

test('texts of several processes become one: each metric once, with the series of all of them', async () => {
  const texts = await Promise.all(
    ['1', '2'].map(async (worker) => {
      const metrics = createPrometheusMetrics(() => {}, { worker })
      metrics.count('apostille_issued_total', { operation: 'jwt_svid' }, Number(worker))
      metrics.observe('apostille_store_commit_records', 3)
      return (await metrics.expose()).body
    }),
  )
  const merged = mergeExpositions(texts)
  expect(merged.split('\n').filter((line) => line.includes('apostille_issued_total'))).toEqual([
    '# HELP apostille_issued_total Credentials issued, by operation.',
    '# TYPE apostille_issued_total counter',
    'apostille_issued_total{operation="jwt_svid",worker="1"} 1',
    'apostille_issued_total{operation="jwt_svid",worker="2"} 2',
  ])
  expect(merged.match(/^apostille_store_commit_records_count/gm)).toHaveLength(2)
  expect(merged).not.toMatch(/\n\n\n/)
})
