import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ClosableExchange } from '../../src/adapters/exchangers/index.ts'
import type { CloudCredential, CloudErrorKind } from '../../src/core/cloud.ts'
import type { TargetType } from '../../src/core/config-targets.ts'
import {
  createExchanger,
  exchangeOf,
  failureOf,
  type Members,
  type Scripted,
  type ScriptedCloud,
  type ScriptedRequest,
  startScriptedCloud,
  targetOf,
} from '../support/exchanger.ts'

export interface ExchangerUnderTest {
  readonly type: TargetType
  /** A target whose every request goes to `url`. */
  readonly target: (url: string) => Members
  /** An answer with a credential that holds `mark` and is over at `expiresAt`. */
  readonly given: (mark: string, expiresAt: Date) => Scripted
  readonly markOf: (credential: CloudCredential) => string
  /** The token that a request brings. */
  readonly tokenOf: (request: ScriptedRequest) => string | null
  /** Answers of success that give nothing of use. */
  readonly useless: readonly (readonly [string, Scripted])[]
  /** A no that repeats `text`. */
  readonly refusal: (text: string) => Scripted
  readonly refusalCode: string
}

const tokenOfUs = (mark: string) =>
  `eyJhbGciOiJSUzI1NiJ9.${Buffer.from(mark.repeat(20)).toString('base64url')}.${'s1g'.repeat(80)}`
const token = tokenOfUs('one')
const now = new Date('2026-11-23T12:00:00.000Z')
const later = new Date(now.getTime() + 3600_000)

/** What every adapter of the port `ExchangeAtCloud` does. */
export function exchangerContract(under: ExchangerUnderTest): void {
  describe(`the contract of an exchanger: ${under.type}`, () => {
    let cloud: ScriptedCloud
    let exchange: ClosableExchange
    const target = (more: Members = {}) => targetOf({ ...under.target(cloud.url), ca_file: cloud.caFile, ...more })

    beforeAll(async () => {
      cloud = await startScriptedCloud()
      exchange = createExchanger({ now: () => now, deadlineMs: 500, maxBytes: 64 * 1024 })
    })
    afterEach(() => vi.unstubAllEnvs())
    afterAll(async () => {
      await exchange.close()
      await cloud.close()
    })

    test('a token is exchanged with one request, which holds it', async () => {
      cloud.script(under.given('first', later))
      const { credential } = await exchange(exchangeOf(target(), token))
      expect(credential).toMatchObject({ type: under.type, expiresAt: later })
      expect(under.markOf(credential)).toContain('first')
      expect(cloud.requests.map(under.tokenOf)).toEqual([token])
    })

    test('nothing is kept: each token is asked with, and has its own credential', async () => {
      cloud.script(under.given('first', later), under.given('second', later), under.given('third', later))
      const marks: string[] = []
      for (const mark of ['a', 'b', 'a']) {
        const { credential } = await exchange(exchangeOf(target(), tokenOfUs(mark)))
        marks.push(under.markOf(credential))
      }
      expect(marks).toEqual(['first', 'second', 'third'])
      expect(cloud.requests.map(under.tokenOf)).toEqual(['a', 'b', 'a'].map(tokenOfUs))
    })

    test('exchanges at the same time do not see each other', async () => {
      cloud.script((request, response) => {
        const { body = '' } = cloud.requests.at(-1) ?? {}
        const found = Array.from({ length: 8 }, (_, n) => n).find((n) => body.includes(tokenOfUs(`${n}`))) ?? -1
        const answer = under.given(`mark-${found}`, later)
        if (typeof answer === 'function') answer(request, response)
        else setTimeout(() => response.writeHead(200, answer.headers).end(answer.body), (8 - found) * 5)
      })
      const asked = Array.from({ length: 8 }, (_, n) => exchange(exchangeOf(target(), tokenOfUs(`${n}`))))
      const marks = (await Promise.all(asked)).map(({ credential }) => under.markOf(credential))
      expect(marks).toEqual(Array.from({ length: 8 }, (_, n) => `mark-${n}`))
    })

    test('it is told nothing of this machine', async () => {
      cloud.script(under.given('first', later))
      await exchange(exchangeOf(target(), token))
      const { headers, body } = cloud.requests[0] ?? {}
      const usual = ['accept', 'accept-encoding', 'connection', 'content-length', 'content-type', 'host', 'user-agent']
      expect(Object.keys(headers ?? {}).filter((name) => !usual.includes(name))).toEqual([])
      expect(headers?.['user-agent']).toBe('apostille')
      expect(body).not.toMatch(/linux|x64|arm64|node|msal|sdk/i)
    })

    test('the environment has no say', async () => {
      for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
      cloud.script(under.given('first', later))
      const fresh = createExchanger({ now: () => now })
      const { credential } = await fresh(exchangeOf(target(), token))
      await fresh.close()
      expect(under.markOf(credential)).toContain('first')
      expect(cloud.requests.map(({ headers }) => headers.host)).toEqual([new URL(cloud.url).host])
    })

    test.each<[string, Scripted, CloudErrorKind, string]>([
      ['a redirect', { status: 302, headers: { location: 'https://localhost:1/' } }, 'unreachable', 'redirect'],
      ['a permanent redirect', { status: 308, headers: { location: '/v2' } }, 'unreachable', 'redirect'],
      ['a body above the limit', { body: ' '.repeat(65 * 1024) }, 'unreachable', 'too_large'],
      ['a body that does not end', (_, response) => void response.writeHead(200).write('{'), 'unreachable', 'timeout'],
      ['no answer', () => undefined, 'unreachable', 'timeout'],
      ['a reset', (request) => void request.socket.destroy(), 'unreachable', 'network'],
      [
        'a reset within the body',
        (request, response) => {
          response.writeHead(200, { 'content-length': '100' }).write('{"a":')
          setImmediate(() => request.socket.destroy())
        },
        'unreachable',
        'network',
      ],
      ['bytes that are no text', { body: Buffer.of(0xff, 0xfe, 0x00) }, 'unreachable', 'malformed'],
      ['an empty answer', {}, 'unreachable', 'malformed'],
      [
        'a page',
        { headers: { 'content-type': 'text/html' }, body: '<html><body>Sign in</body></html>' },
        'unreachable',
        'malformed',
      ],
      ['a broken page', { body: '<html><body><p>Sign in' }, 'unreachable', 'malformed'],
      ['JSON that is no object', { body: '[]' }, 'unreachable', 'malformed'],
      ['JSON null', { body: 'null' }, 'unreachable', 'malformed'],
      ['a page of a proxy that says no', { status: 403, body: '<html>Blocked</html>' }, 'unreachable', 'http_403'],
      ['an empty 401', { status: 401 }, 'unreachable', 'http_401'],
      ['an empty 500', { status: 500 }, 'unreachable', 'http_500'],
      ['a page with 503', { status: 503, body: '<h1>busy' }, 'unreachable', 'http_503'],
      ['a page with 429', { status: 429, body: '<h1>busy' }, 'throttled', 'http_429'],
      ['an empty 429', { status: 429 }, 'throttled', 'http_429'],
    ])('%s is no credential and no refusal', async (_, answer, kind, code) => {
      cloud.script(answer)
      const failure = await failureOf(exchange, exchangeOf(target(), token))
      expect({ kind: failure.kind, code: failure.code }).toEqual({ kind, code })
      // A kept connection that is dead is replaced by a new one, once.
      expect(cloud.requests.length).toBeLessThanOrEqual(code === 'network' ? 2 : 1)
      leaksNothing(failure)
    })

    test.each(under.useless)('%s is never handed out', async (_, answer) => {
      cloud.script(answer)
      const failure = await failureOf(exchange, exchangeOf(target(), token))
      expect([failure.kind, failure.code]).toEqual(['unreachable', 'malformed'])
      leaksNothing(failure)
    })

    test('a credential that is already over is never handed out', async () => {
      cloud.script(under.given('first', new Date(now.getTime() - 1000)))
      const failure = await failureOf(exchange, exchangeOf(target(), token))
      expect([failure.kind, failure.code]).toEqual(['unreachable', 'malformed'])
    })

    test.each([
      ['a name', 'a1b2-c3', 'a1b2-c3'],
      ['a text of any length', 'r'.repeat(4000), undefined],
      ['a text with other signs', 'a"b <c>', undefined],
    ])('the cloud calls the request %s, and records hold names alone', async (_, id, kept) => {
      const answer = under.given('first', later)
      if (typeof answer === 'function') throw new Error('no plain answer')
      const names = ['x-amzn-requestid', 'x-ms-request-id', 'x-goog-request-id']
      const headers = Object.fromEntries(names.map((name) => [name, id]))
      cloud.script({ ...answer, headers: { ...answer.headers, ...headers } })
      expect((await exchange(exchangeOf(target(), token))).requestId).toBe(kept)
    })

    test('Retry-After is passed on, as seconds and as a date', async () => {
      cloud.script({ status: 503, headers: { 'retry-after': '7' } })
      expect((await failureOf(exchange, exchangeOf(target(), token))).retryAfterSeconds).toBe(7)
      const date = new Date(now.getTime() + 30_000).toUTCString()
      cloud.script({ status: 429, headers: { 'retry-after': date } })
      expect((await failureOf(exchange, exchangeOf(target(), token))).retryAfterSeconds).toBe(30)
    })

    test.each([
      ['the whole token', () => token],
      ['its payload alone', () => token.split('.')[1] ?? ''],
      ['a piece of its signature', () => token.slice(-40, -5)],
      ['its beginning', () => token.slice(0, 24)],
      ['it in quotes', () => `token '${token}' is wrong`],
      ['it among control characters', () => `\u0007\r\n${token}\u2028`],
    ])('a refusal that repeats %s is told without it', async (_, text) => {
      cloud.script(under.refusal(`No: ${text()}`))
      const failure = await failureOf(exchange, exchangeOf(target(), token))
      expect([failure.kind, failure.code]).toEqual(['refused', under.refusalCode])
      expect(failure.message).toContain('No: ')
      expect(failure.message).toContain('[removed]')
      leaksNothing(failure)
    })

    test('a long refusal is told in short, in one line', async () => {
      cloud.script(under.refusal(`No:\n\n${'because of this '.repeat(200)}`))
      const failure = await failureOf(exchange, exchangeOf(target(), token))
      expect(failure.message).toMatch(/it says '.*No: because of this because/)
      expect(failure.message.length).toBeLessThan(700)
      expect(failure.message).not.toMatch(/\p{Cc}/u)
    })

    test('a server that is not under the CA of the target is sent nothing', async () => {
      cloud.script(under.given('first', later))
      const wanted = targetOf({ ...under.target(cloud.url) })
      const failure = await failureOf(exchange, exchangeOf(wanted, token))
      expect([failure.kind, failure.code]).toEqual(['unreachable', 'tls'])
      expect(cloud.requests).toEqual([])
    })

    test('a CA file that can not be read is said, and nothing is sent', async () => {
      const failure = await failureOf(exchange, exchangeOf(target({ ca_file: '/nowhere/ca.pem' }), token))
      expect([failure.kind, failure.code, failure.message]).toEqual(['unreachable', 'tls', 'ca_file could not be read'])
    })

    test('nobody there is said', async () => {
      const gone = await startScriptedCloud()
      await gone.close()
      const failure = await failureOf(exchange, exchangeOf(targetOf(under.target(gone.url)), token))
      expect([failure.kind, failure.code]).toEqual(['unreachable', 'network'])
    })

    test('it ends when nobody waits any longer, before or during the request', async () => {
      cloud.script(() => undefined)
      const patient = createExchanger({ now: () => now, deadlineMs: 60_000 })
      const stopped = AbortSignal.abort()
      expect((await failureOf(patient, exchangeOf(target(), token, { signal: stopped }))).code).toBe('timeout')
      expect(cloud.requests).toEqual([])

      const leaving = new AbortController()
      cloud.script(() => leaving.abort())
      const failure = await failureOf(patient, exchangeOf(target(), token, { signal: leaving.signal }))
      expect([failure.kind, failure.code]).toEqual(['unreachable', 'timeout'])
      await patient.close()
    })

    test('connections are kept for the next exchange, and end when it is closed', async () => {
      const own = await startScriptedCloud()
      own.script(under.given('first', later))
      const closable = createExchanger({ now: () => now })
      const wanted = targetOf({ ...under.target(own.url), ca_file: own.caFile })
      for (let n = 0; n < 3; n++) await closable(exchangeOf(wanted, token))
      expect(own.connections()).toBe(1)
      await closable.close()
      await vi.waitFor(() => expect(own.connections()).toBe(0))
      await own.close()
    })

    test('many at once share connections', async () => {
      const own = await startScriptedCloud()
      own.script(under.given('first', later))
      const closable = createExchanger({ now: () => now, deadlineMs: 20_000 })
      const wanted = targetOf({ ...under.target(own.url), ca_file: own.caFile })
      await Promise.all(Array.from({ length: 300 }, () => closable(exchangeOf(wanted, token))))
      expect(own.requests).toHaveLength(300)
      expect(own.connections()).toBeLessThanOrEqual(64)
      await closable.close()
      await own.close()
    })

    function leaksNothing(failure: Error): void {
      const shown = `${failure.message} ${JSON.stringify(failure)} ${failure.stack} ${JSON.stringify(failure.cause)}`
      for (const part of token.split('.')) {
        for (let at = 0; at + 16 <= part.length; at += 8) expect(shown).not.toContain(part.slice(at, at + 16))
      }
    }
  })
}

/** Each of them changes what some library does when it is asked. */
const environment: Readonly<Record<string, string>> = {
  AWS_REGION: 'us-east-1',
  AWS_PROFILE: 'nobody',
  AWS_ENDPOINT_URL: 'https://localhost:1',
  AWS_ENDPOINT_URL_STS: 'https://localhost:1',
  AWS_USE_FIPS_ENDPOINT: 'true',
  AWS_USE_DUALSTACK_ENDPOINT: 'true',
  AWS_CONFIG_FILE: '/nowhere',
  AWS_ACCESS_KEY_ID: 'AKIAAAAAAAAAAAAAAAAA',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_SESSION_TOKEN: 'session',
  AWS_MAX_ATTEMPTS: '9',
  AWS_EXECUTION_ENV: 'linux',
  AWS_LAMBDA_FUNCTION_NAME: 'f',
  _X_AMZN_TRACE_ID: 'Root=1',
  AZURE_AUTHORITY_HOST: 'https://localhost:1',
  AZURE_REGIONAL_AUTHORITY_NAME: 'AutoDiscoverRegion',
  AZURE_TENANT_ID: 'other',
  AZURE_CLIENT_ID: 'other',
  AZURE_IDENTITY_DISABLE_MULTITENANTAUTH: 'true',
  GOOGLE_APPLICATION_CREDENTIALS: '/nowhere',
  GOOGLE_CLOUD_UNIVERSE_DOMAIN: 'other.example',
  GCE_METADATA_HOST: 'localhost:1',
  HTTPS_PROXY: 'http://localhost:1',
  https_proxy: 'http://localhost:1',
  ALL_PROXY: 'http://localhost:1',
}
