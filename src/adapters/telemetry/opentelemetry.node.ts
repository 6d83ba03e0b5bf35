/**
 * Traces and log records over OTLP. Loaded where the variables of OpenTelemetry ask for it, and nowhere else.
 *
 * Nothing is registered for the whole process: what is traced is handed its tracer, so that no library traces along.
 *
 * @see {@link https://www.w3.org/TR/trace-context/ W3C Trace Context}
 * @see {@link https://opentelemetry.io/docs/specs/semconv/http/http-spans/ OpenTelemetry: HTTP spans}
 * @module
 */
import asyncHooks from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type Attributes,
  type Context,
  trace as contexts,
  DiagLogLevel,
  defaultTextMapGetter,
  defaultTextMapSetter,
  diag,
  type Logger,
  ROOT_CONTEXT,
  SeverityNumber,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPLogExporter as JsonLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtobufLogExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { Refusal } from '../../core/refusal.ts'
import type { Fields, LogLevel, Telemetry, Trace } from '../../core/telemetry.ts'
import { type ConnectUpstream, type HttpAnswer, type HttpRequest, UpstreamError } from '../http-client.ts'
import type { OtelSettings, SamplerSettings } from './otel-settings.ts'

/** What a request to us is called. */
export interface ServedRequest {
  readonly requestId: string
  /** Of few values: no name of a target or a secret. */
  readonly route: string
  /** Of the caller; empty where it is not known. */
  readonly address: string
}

/** Spans of requests to us and of those that they lead to. */
export interface RequestTracing {
  /** A span that ends with the response, and that goes on from the caller's trace where the request names one. */
  readonly begin: (request: IncomingMessage, response: ServerResponse, served: ServedRequest) => void
  /** Does what belongs to a request that was begun: answers it, or writes its line in the log. */
  readonly within: (response: ServerResponse, work: () => void) => void
  /** The same clients, whose requests are spans and carry the trace on. */
  readonly connect: (connect: ConnectUpstream) => ConnectUpstream
}

export interface OpenTelemetry {
  readonly tracing?: RequestTracing
  readonly trace?: Trace
  readonly log: Telemetry['log']
  /** Sends what is held; at most for so long. */
  readonly close: (deadlineMs: number) => Promise<void>
}

export interface OpenTelemetryDeps {
  readonly version: string
  /** Where log lines go besides. */
  readonly log: Telemetry['log']
}

const scope = 'apostille'

/** The exporters read the environment of the process. */
export function createOpenTelemetry(settings: OtelSettings, { version, log }: OpenTelemetryDeps): OpenTelemetry {
  reportFailures(log)
  const resource = resourceFromAttributes({
    'service.name': 'apostille',
    'service.version': version,
    'service.instance.id': randomUUID(),
  }).merge(detectResources({ detectors: [envDetector] }))
  // Made when it is read, and so no named export of the bundle's view of Node's modules.
  const active = new asyncHooks.AsyncLocalStorage<Context>()
  const traces = settings.traces && createTracerProvider(settings.traces, settings.sampler, resource)
  const logs = settings.logs && createLoggerProvider(settings.logs, resource)
  const tracer = traces?.getTracer(scope, version)
  return {
    ...(tracer && { tracing: createRequestTracing(tracer, active), trace: createTrace(tracer, active) }),
    log: createLog(log, logs?.getLogger(scope, version), active),
    async close(deadlineMs) {
      const sent = Promise.allSettled([traces?.shutdown(), logs?.shutdown()])
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, deadlineMs)
      await Promise.race([sent, late.promise])
      clearTimeout(timer)
    },
  }
}

type Resource = ReturnType<typeof resourceFromAttributes>
type Active = asyncHooks.AsyncLocalStorage<Context>

function createTracerProvider(
  { protocol, batch }: NonNullable<OtelSettings['traces']>,
  sampler: SamplerSettings,
  resource: Resource,
): TracerProvider {
  const exporter = protocol === 'http/json' ? new JsonTraceExporter() : new ProtobufTraceExporter()
  return new TracerProvider({
    resource,
    sampler: samplerOf(sampler),
    spanProcessors: [new BatchSpanProcessor({ exporter, ...batch })],
  })
}

function samplerOf({ parentBased, ratio }: SamplerSettings) {
  const root = ratio === 1 ? new AlwaysOnSampler() : new TraceIdRatioBasedSampler(ratio)
  return parentBased ? new ParentBasedSampler({ root }) : root
}

function createLoggerProvider(
  { protocol, batch }: NonNullable<OtelSettings['logs']>,
  resource: Resource,
): LoggerProvider {
  const exporter = protocol === 'http/json' ? new JsonLogExporter() : new ProtobufLogExporter()
  return new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter, ...batch })] })
}

function createTrace(tracer: Tracer, active: Active): Trace {
  return (phase, work) => {
    const parent = active.getStore()
    if (parent === undefined || contexts.getSpan(parent)?.isRecording() !== true) return work()
    return runIn(active, parent, tracer.startSpan(phase, {}, parent), work)
  }
}

/** The span ends with the work, or with what the work promises. */
function runIn<T>(active: Active, parent: Context, span: Span, work: () => T): T {
  const failed = (error: unknown): never => {
    describeFailure(span, error)
    span.end()
    throw error
  }
  try {
    const result = active.run(contexts.setSpan(parent, span), work)
    if (result instanceof Promise) return result.then(ended(span), failed) as T
    span.end()
    return result
  } catch (error) {
    return failed(error)
  }
}

function ended(span: Span) {
  return <T>(value: T): T => {
    span.end()
    return value
  }
}

/** What kind of failure it is. A message might quote input, and a reason is for the records. */
function describeFailure(span: Span, error: unknown): void {
  span.setAttribute('error.type', kindOf(error))
  span.setStatus({ code: SpanStatusCode.ERROR })
}

function kindOf(error: unknown): string {
  if (error instanceof Refusal || error instanceof UpstreamError) return error.code
  return error instanceof Error ? error.name : typeof error
}

const propagator = () => new W3CTraceContextPropagator()
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'])

function createRequestTracing(tracer: Tracer, active: Active): RequestTracing {
  const served = new WeakMap<ServerResponse, Context>()
  const traceContext = propagator()

  return {
    begin(request, response, facts) {
      const caller = traceContext.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter)
      const method = methods.has(request.method ?? '') ? request.method : undefined
      const span = tracer.startSpan(
        `${method ?? 'HTTP'} ${facts.route}`,
        { kind: SpanKind.SERVER, attributes: attributesOf(request, method ?? '_OTHER', facts) },
        caller,
      )
      served.set(response, contexts.setSpan(caller, span))
      response.on('close', () => {
        const { statusCode } = response
        span.setAttribute('http.response.status_code', statusCode)
        if (statusCode >= 500) {
          span.setAttribute('error.type', String(statusCode))
          span.setStatus({ code: SpanStatusCode.ERROR })
        }
        span.end()
      })
    },
    within: (response, work) => active.run(served.get(response) ?? ROOT_CONTEXT, work),
    connect: (connect) => (place) => {
      const { request, close } = connect(place)
      return { close, request: (wanted) => carryOn(wanted, request) }
    },
  }

  function carryOn(wanted: HttpRequest, send: (request: HttpRequest) => Promise<HttpAnswer>): Promise<HttpAnswer> {
    const parent = active.getStore()
    if (parent === undefined) return send(wanted)
    const { method = 'GET', url } = wanted
    const { hostname, port } = new URL(url)
    // Without the URL: queries of presigned requests are credentials.
    const attributes = { 'http.request.method': method, 'server.address': hostname, 'server.port': Number(port) || 443 }
    const span = tracer.startSpan(method, { kind: SpanKind.CLIENT, attributes }, parent)
    const headers: Record<string, string> = { ...wanted.headers }
    traceContext.inject(contexts.setSpan(parent, span), headers, defaultTextMapSetter)
    return runIn(active, parent, span, async () => {
      const answer = await send({ ...wanted, headers })
      span.setAttribute('http.response.status_code', answer.status)
      if (answer.status >= 400) {
        span.setAttribute('error.type', String(answer.status))
        span.setStatus({ code: SpanStatusCode.ERROR })
      }
      return answer
    })
  }
}

/** Without the path, in which callers may write anything. */
function attributesOf(
  request: IncomingMessage,
  method: string,
  { requestId, route, address }: ServedRequest,
): Attributes {
  return {
    'http.request.method': method,
    'http.route': route,
    'url.scheme': 'encrypted' in request.socket ? 'https' : 'http',
    'network.protocol.version': request.httpVersion === '2.0' ? '2' : request.httpVersion,
    'apostille.request_id': requestId,
    ...(address !== '' && { 'client.address': address }),
  }
}

const severities: Readonly<Record<LogLevel, readonly [SeverityNumber, string]>> = {
  debug: [SeverityNumber.DEBUG, 'DEBUG'],
  info: [SeverityNumber.INFO, 'INFO'],
  warning: [SeverityNumber.WARN, 'WARN'],
  error: [SeverityNumber.ERROR, 'ERROR'],
}

/** Lines on standard error name the trace that they belong to; log records carry it. */
function createLog(log: Telemetry['log'], logger: Logger | undefined, active: Active): Telemetry['log'] {
  return (level, message, fields = {}) => {
    const context = active.getStore() ?? ROOT_CONTEXT
    const traceId = contexts.getSpanContext(context)?.traceId
    log(level, message, traceId === undefined ? fields : { ...fields, trace_id: traceId })
    const [severityNumber, severityText] = severities[level]
    logger?.emit({ severityNumber, severityText, body: message, attributes: known(fields), context })
  }
}

function known(fields: Fields): Attributes {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

const quietMs = 60_000

/** What the library has to complain of, as when nobody listens at the endpoint: once a minute, and without its words. */
function reportFailures(log: Telemetry['log']): void {
  let saidMs = Number.NEGATIVE_INFINITY
  const complain = (...said: readonly unknown[]) => {
    if (performance.now() - saidMs < quietMs) return
    saidMs = performance.now()
    const code = /\b(?:E[A-Z]{4,}|HTTP \d{3}|status code \d{3})\b/.exec(said.map(String).join(' '))?.[0]
    log('warning', 'traces or logs can not be exported over OTLP', { code })
  }
  diag.setLogger(
    { error: complain, warn: complain, info() {}, debug() {}, verbose() {} },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
}
