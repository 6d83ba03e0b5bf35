import { describe, expect, test } from 'vitest'
import { readOtelSettings } from '../../../src/adapters/telemetry/otel-settings.ts'

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }
const signal = { protocol: 'http/protobuf', batch: {} }

describe('nothing is exported', () => {
  test.each([
    ['without variables', {}],
    ['by other variables alone', { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' }],
    ['where it is disabled', { ...endpoint, OTEL_SDK_DISABLED: 'True' }],
    ['where there is to be no exporter', { ...endpoint, OTEL_TRACES_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' }],
    ['by an empty variable', { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
  ])('%s', (_, env) => {
    expect(readOtelSettings(env)).toBeUndefined()
  })
})

test.each([
  ['an endpoint is for both', endpoint, { traces: signal, logs: signal }],
  ['one of traces is for them', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318/v1/traces' }, { traces: signal }],
  ['an exporter alone has the usual endpoint', { OTEL_LOGS_EXPORTER: 'otlp' }, { logs: signal }],
  ['one can be left out', { ...endpoint, OTEL_LOGS_EXPORTER: 'none' }, { traces: signal }],
  [
    'each has its protocol',
    { ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/protobuf' },
    { traces: { protocol: 'http/json', batch: {} }, logs: signal },
  ],
])('%s', (_, env, expected) => {
  const { sampler, warnings, ...signals } = readOtelSettings(env) ?? { sampler: undefined, warnings: undefined }
  expect(signals).toEqual(expected)
  expect([sampler, warnings]).toEqual([{ parentBased: true, ratio: 1 }, []])
})

test.each([
  ['always_on', undefined, { parentBased: false, ratio: 1 }],
  ['always_off', undefined, { parentBased: false, ratio: 0 }],
  ['traceidratio', '0.25', { parentBased: false, ratio: 0.25 }],
  ['parentbased_always_on', '0.5', { parentBased: true, ratio: 1 }],
  ['parentbased_always_off', undefined, { parentBased: true, ratio: 0 }],
  ['parentbased_traceidratio', '0.1', { parentBased: true, ratio: 0.1 }],
  ['parentbased_traceidratio', undefined, { parentBased: true, ratio: 1 }],
])('the sampler %s with %s', (name, argument, sampler) => {
  const env = { ...endpoint, OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument }
  expect(readOtelSettings(env)?.sampler).toEqual(sampler)
})

test('what is sent together has its limits', () => {
  const env = {
    ...endpoint,
    OTEL_BSP_SCHEDULE_DELAY: '100',
    OTEL_BSP_MAX_QUEUE_SIZE: '9',
    OTEL_BLRP_EXPORT_TIMEOUT: '7',
  }
  expect(readOtelSettings(env)).toMatchObject({
    traces: { batch: { scheduledDelayMillis: 100, maxQueueSize: 9 } },
    logs: { batch: { exportTimeoutMillis: 7 } },
  })
})

test.each([
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'http/protobuf and http/json'],
  [{ OTEL_TRACES_EXPORTER: 'zipkin' }, 'no traces are exported'],
  [{ OTEL_TRACES_SAMPLER: 'toString' }, 'OTEL_TRACES_SAMPLER: there are always_on'],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, 'expected a number from 0 to 1'],
  [{ OTEL_BSP_SCHEDULE_DELAY: 'soon' }, 'OTEL_BSP_SCHEDULE_DELAY: expected a number'],
])('%j is said to have no effect', (env, warning) => {
  expect(readOtelSettings({ ...endpoint, ...env })?.warnings.join('; ')).toContain(warning)
})
