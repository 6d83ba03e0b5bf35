/**
 * A receiver of OTLP over HTTP in JSON that takes nothing which the specification does not allow, and keeps what it got.
 *
 * @see {@link https://opentelemetry.io/docs/specs/otlp/ OTLP}
 * @see {@link https://github.com/open-telemetry/opentelemetry-proto opentelemetry-proto}
 * @module
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as z from 'zod'

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
const nanoseconds = z.string().regex(/^[1-9]\d{18}$/)
const int = z.union([z.int(), z.string().regex(/^-?\d+$/)])
const value = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ boolValue: z.boolean() }),
  z.strictObject({ intValue: int }),
  z.strictObject({ doubleValue: z.number() }),
])
const attribute = z.strictObject({ key: z.string().min(1), value })
const attributes = z.array(attribute).refine((all) => new Set(all.map(({ key }) => key)).size === all.length)
const dropped = z.literal(0).optional()
const resource = z.strictObject({ attributes, droppedAttributesCount: dropped })
const scope = z.strictObject({ name: z.literal('apostille'), version: z.string(), attributes: attributes.optional() })

const span = z.strictObject({
  traceId: hex(16),
  spanId: hex(8),
  parentSpanId: hex(8).optional(),
  traceState: z.string().optional(),
  name: z.string().min(1),
  kind: z.union([z.literal(1), z.literal(2), z.literal(3)]),
  startTimeUnixNano: nanoseconds,
  endTimeUnixNano: nanoseconds,
  attributes,
  droppedAttributesCount: dropped,
  events: z.tuple([]).optional(),
  droppedEventsCount: dropped,
  links: z.tuple([]).optional(),
  droppedLinksCount: dropped,
  status: z.strictObject({ code: z.literal([0, 1, 2]).optional(), message: z.string().optional() }),
  flags: z.int().optional(),
})
const record = z.strictObject({
  timeUnixNano: nanoseconds,
  observedTimeUnixNano: nanoseconds,
  severityNumber: z.int().min(1).max(24),
  severityText: z.enum(['DEBUG', 'INFO', 'WARN', 'ERROR']),
  body: value,
  eventName: z.string().optional(),
  attributes,
  droppedAttributesCount: dropped,
  flags: z.int().optional(),
  traceId: hex(16).optional(),
  spanId: hex(8).optional(),
})
const requests = {
  '/v1/traces': z.strictObject({
    resourceSpans: z.array(
      z.strictObject({ resource, scopeSpans: z.array(z.strictObject({ scope, spans: z.array(span).min(1) })) }),
    ),
  }),
  '/v1/logs': z.strictObject({
    resourceLogs: z.array(
      z.strictObject({ resource, scopeLogs: z.array(z.strictObject({ scope, logRecords: z.array(record).min(1) })) }),
    ),
  }),
} as const

type Values = Readonly<Record<string, string | number | boolean>>
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: 'internal' | 'server' | 'client'
  readonly failed: boolean
  readonly durationNs: bigint
  readonly attributes: Values
}
export interface ReceivedRecord {
  readonly severity: string
  readonly body: unknown
  readonly attributes: Values
  readonly traceId: string | undefined
}

export interface OtlpReceiver {
  readonly url: string
  readonly spans: ReceivedSpan[]
  readonly records: ReceivedRecord[]
  readonly resources: Values[]
  readonly headers: IncomingMessage['headers'][]
  /** All that was sent, for what must not be in it. */
  readonly text: (path: keyof typeof requests) => string
  /** What was wrong with it. */
  readonly problems: string[]
  readonly close: () => Promise<void>
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const got: Omit<OtlpReceiver, 'url' | 'text' | 'close'> = {
    ...{ spans: [], records: [], resources: [], headers: [], problems: [] },
  }
  const texts = new Map<string | undefined, string>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    texts.set(request.url, (texts.get(request.url) ?? '') + body)
    got.headers.push(request.headers)
    try {
      take(request, body)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    } catch (error) {
      got.problems.push(error instanceof Error ? error.message : String(error))
      response.writeHead(400).end()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')

  function take({ method, url, headers }: IncomingMessage, body: string): void {
    if (method !== 'POST' || headers['content-type'] !== 'application/json') throw new Error(`${method} ${url}`)
    const content: unknown = JSON.parse(body)
    if (url === '/v1/traces') takeSpans(requests[url].parse(content))
    else if (url === '/v1/logs') takeRecords(requests[url].parse(content))
    else throw new Error(`nothing is at ${url}`)
  }

  function takeSpans({ resourceSpans }: z.output<(typeof requests)['/v1/traces']>): void {
    for (const {
      resource: { attributes: facts },
      scopeSpans,
    } of resourceSpans) {
      got.resources.push(valuesOf(facts))
      for (const one of scopeSpans.flatMap(({ spans }) => spans))
        got.spans.push({
          ...{ traceId: one.traceId, spanId: one.spanId, parentSpanId: one.parentSpanId, name: one.name },
          kind: (['internal', 'server', 'client'] as const)[one.kind - 1] ?? 'internal',
          failed: one.status.code === 2,
          durationNs: BigInt(one.endTimeUnixNano) - BigInt(one.startTimeUnixNano),
          attributes: valuesOf(one.attributes),
        })
    }
  }

  function takeRecords({ resourceLogs }: z.output<(typeof requests)['/v1/logs']>): void {
    for (const {
      resource: { attributes: facts },
      scopeLogs,
    } of resourceLogs) {
      got.resources.push(valuesOf(facts))
      for (const { severityText, body, attributes: said, traceId } of scopeLogs.flatMap(({ logRecords }) => logRecords))
        got.records.push({ severity: severityText, body: Object.values(body)[0], attributes: valuesOf(said), traceId })
    }
  }

  return {
    ...got,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    text: (path) => texts.get(path) ?? '',
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function valuesOf(all: z.output<typeof attributes>): Values {
  return Object.fromEntries(all.map(({ key, value: held }) => [key, Object.values(held)[0] as string]))
}
