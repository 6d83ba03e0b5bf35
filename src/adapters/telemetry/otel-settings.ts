/**
 * What the standard variables of OpenTelemetry ask for. Endpoints, headers, certificates, deadlines and compression are
 * read by the exporters themselves.
 *
 * @see {@link https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ OpenTelemetry: environment variables}
 * @see {@link https://opentelemetry.io/docs/specs/otel/protocol/exporter/ OpenTelemetry: OTLP exporter}
 * @module
 */

export type Environment = Readonly<Record<string, string | undefined>>
export type OtlpProtocol = 'http/protobuf' | 'http/json'
export type Signal = 'traces' | 'logs'

/** Of what is sent together; absent where the library's own default holds. */
export interface BatchLimits {
  readonly scheduledDelayMillis?: number
  readonly exportTimeoutMillis?: number
  readonly maxQueueSize?: number
  readonly maxExportBatchSize?: number
}

export interface SignalSettings {
  readonly protocol: OtlpProtocol
  readonly batch: BatchLimits
}

export interface SamplerSettings {
  /** Whether what the caller's trace says goes first. */
  readonly parentBased: boolean
  /** Share of traces, from 0 to 1. */
  readonly ratio: number
}

export interface OtelSettings {
  readonly traces?: SignalSettings
  readonly logs?: SignalSettings
  readonly sampler: SamplerSettings
  /** What is set and has no effect, for the log. */
  readonly warnings: readonly string[]
}

/** Undefined where nothing is to be exported. */
export function readOtelSettings(env: Environment): OtelSettings | undefined {
  if (variable(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined
  const warnings: string[] = []
  const traces = readSignal(env, 'traces', warnings)
  const logs = readSignal(env, 'logs', warnings)
  if (traces === undefined && logs === undefined && warnings.length === 0) return undefined
  return { ...(traces && { traces }), ...(logs && { logs }), sampler: readSampler(env, warnings), warnings }
}

const batchPrefixes = { traces: 'OTEL_BSP', logs: 'OTEL_BLRP' } as const

function readSignal(env: Environment, signal: Signal, warnings: string[]): SignalSettings | undefined {
  const name = signal.toUpperCase()
  const exporter = variable(env, `OTEL_${name}_EXPORTER`)
  const endpoint = variable(env, `OTEL_EXPORTER_OTLP_${name}_ENDPOINT`) ?? variable(env, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  if (exporter === 'none' || (exporter === undefined && endpoint === undefined)) return undefined
  if (exporter !== undefined && exporter !== 'otlp') {
    warnings.push(`OTEL_${name}_EXPORTER: there is otlp and none, so no ${signal} are exported`)
    return undefined
  }
  const protocol =
    variable(env, `OTEL_EXPORTER_OTLP_${name}_PROTOCOL`) ??
    variable(env, 'OTEL_EXPORTER_OTLP_PROTOCOL') ??
    'http/protobuf'
  if (protocol !== 'http/protobuf' && protocol !== 'http/json') {
    warnings.push(`OTEL_EXPORTER_OTLP_PROTOCOL: there is http/protobuf and http/json, so no ${signal} are exported`)
    return undefined
  }
  return { protocol, batch: readBatch(env, batchPrefixes[signal], warnings) }
}

function readBatch(env: Environment, prefix: string, warnings: string[]): BatchLimits {
  const number = (name: string) => readNumber(env, `${prefix}_${name}`, Number.MAX_SAFE_INTEGER, warnings)
  const scheduledDelayMillis = number('SCHEDULE_DELAY')
  const exportTimeoutMillis = number('EXPORT_TIMEOUT')
  const maxQueueSize = number('MAX_QUEUE_SIZE')
  const maxExportBatchSize = number('MAX_EXPORT_BATCH_SIZE')
  return {
    ...(scheduledDelayMillis !== undefined && { scheduledDelayMillis }),
    ...(exportTimeoutMillis !== undefined && { exportTimeoutMillis }),
    ...(maxQueueSize !== undefined && { maxQueueSize }),
    ...(maxExportBatchSize !== undefined && { maxExportBatchSize }),
  }
}

const samplers: Readonly<Record<string, (ratio: number) => SamplerSettings>> = {
  always_on: () => ({ parentBased: false, ratio: 1 }),
  always_off: () => ({ parentBased: false, ratio: 0 }),
  traceidratio: (ratio) => ({ parentBased: false, ratio }),
  parentbased_always_on: () => ({ parentBased: true, ratio: 1 }),
  parentbased_always_off: () => ({ parentBased: true, ratio: 0 }),
  parentbased_traceidratio: (ratio) => ({ parentBased: true, ratio }),
}
const usualSampler: SamplerSettings = { parentBased: true, ratio: 1 }

function readSampler(env: Environment, warnings: string[]): SamplerSettings {
  const name = variable(env, 'OTEL_TRACES_SAMPLER')
  if (name === undefined) return usualSampler
  const ratio = readNumber(env, 'OTEL_TRACES_SAMPLER_ARG', 1, warnings) ?? 1
  const sampler = Object.hasOwn(samplers, name) ? samplers[name]?.(ratio) : undefined
  if (sampler === undefined) warnings.push(`OTEL_TRACES_SAMPLER: there are ${Object.keys(samplers).join(', ')}`)
  return sampler ?? usualSampler
}

function readNumber(env: Environment, name: string, most: number, warnings: string[]): number | undefined {
  const text = variable(env, name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (value >= 0 && value <= most) return value
  warnings.push(`${name}: expected a number${most === 1 ? ' from 0 to 1' : ''}, so it is left aside`)
  return undefined
}

/** As the specification has it, an empty variable is one that is not set. */
function variable(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined
}
