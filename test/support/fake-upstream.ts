/**
 * An upstream without a network: answers by URL, a clock and files that the test moves.
 *
 * @module
 */
import { type HttpAnswer, type HttpClient, type HttpRequest, UpstreamError } from '../../src/adapters/http-client.ts'
import type { FileReader } from '../../src/adapters/watched-file.ts'
import type { Fields, LogLevel, MetricName, Telemetry } from '../../src/core/telemetry.ts'

/** What a URL answers: JSON, text, or a failure. */
export type FakeAnswer = object | string | UpstreamError

export interface FakeUpstream {
  /** By URL; one that is missing cannot be reached. */
  readonly answers: Map<string, FakeAnswer>
  /** Headers of every answer. */
  readonly headers: Record<string, string>
  /** Requests so far. */
  readonly requests: HttpRequest[]
  readonly request: HttpClient['request']
  /** Holds every answer back until the function that it returns is called. */
  readonly hold: () => () => void
}

export function createFakeUpstream(): FakeUpstream {
  const answers = new Map<string, FakeAnswer>()
  const headers: Record<string, string> = {}
  const requests: HttpRequest[] = []
  let gate = Promise.resolve()

  async function request(wanted: HttpRequest): Promise<HttpAnswer> {
    requests.push(wanted)
    await gate
    const answer = answers.get(wanted.url) ?? new UpstreamError('network', 'nobody is there')
    if (answer instanceof UpstreamError) throw answer
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
    return { status: 200, headers: new Headers(headers), text }
  }

  function hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    return resolve
  }

  return { answers, headers, requests, request, hold }
}

export interface FakeClock {
  readonly monotonicMs: () => number
  readonly advance: (ms: number) => void
}

export function createFakeClock(startMs = 1_000_000): FakeClock {
  let now = startMs
  return {
    monotonicMs: () => now,
    advance(ms) {
      now += ms
    },
  }
}

/** Files by path; a path that is missing does not exist. */
export function createFakeFiles(): FileReader & { readonly texts: Map<string, string> } {
  const texts = new Map<string, string>()
  async function read(path: string): Promise<string> {
    const text = texts.get(path)
    if (text === undefined) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
    return text
  }
  return { texts, read, stamp: read }
}

export interface TelemetryLine {
  readonly name: MetricName | LogLevel
  readonly text?: string
  /** Absent also for a gauge whose series ends. */
  readonly value?: number
  readonly fields: Fields
}

/** Keeps what is reported. */
export function createTelemetryLog(): Telemetry & { readonly lines: TelemetryLine[] } {
  const lines: TelemetryLine[] = []
  return {
    lines,
    count: (name, fields = {}, value = 1) => lines.push({ name, value, fields }),
    gauge: (name, value, fields = {}) => lines.push({ name, ...(value !== undefined && { value }), fields }),
    observe: (name, value, fields = {}) => lines.push({ name, value, fields }),
    log: (name, text, fields = {}) => lines.push({ name, text, fields }),
  }
}
