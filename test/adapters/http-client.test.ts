import { describe, expect, test } from 'vitest'
import { createHostTurns } from '../../src/adapters/host-turns.ts'
import { createHttpClient, type Fetch, type FetchInit, requireSuccess } from '../../src/adapters/http-client.ts'

const url = 'https://issuer.example/keys'
const secret = 'planted-in-the-body'

function answering(body: ConstructorParameters<typeof Response>[0], init: ResponseInit = {}): Fetch {
  return async () => new Response(body, init)
}

function failing(error: unknown): Fetch {
  return async () => {
    throw error
  }
}

function coded(code: string): Error {
  return Object.assign(new Error(secret), { code })
}

test('answers status, headers and text', async () => {
  const seen: { url: string; init: FetchInit }[] = []
  const client = createHttpClient({
    fetch: async (wanted, init) => {
      seen.push({ url: wanted, init })
      return new Response('{"keys":[]}', { status: 201, headers: { 'cache-control': 'max-age=60' } })
    },
  })
  const answer = await client.request({ url, method: 'POST', headers: { authorization: 'Bearer x' }, body: 'b' })
  expect(answer).toMatchObject({ status: 201, text: '{"keys":[]}' })
  expect(answer.headers.get('Cache-Control')).toBe('max-age=60')
  expect(seen).toMatchObject([
    { url, init: { method: 'POST', body: 'b', redirect: 'manual', headers: { authorization: 'Bearer x' } } },
  ])
})

test('an answer without a body is empty text', async () => {
  const client = createHttpClient({ fetch: answering(null, { status: 204 }) })
  expect(await client.request({ url })).toMatchObject({ status: 204, text: '' })
})

test('a body of just the limit is read, whatever length it announces', async () => {
  const client = createHttpClient({
    fetch: answering('x'.repeat(10), { headers: { 'content-length': '5' } }),
    maxBytes: 10,
  })
  expect((await client.request({ url })).text).toHaveLength(10)
})

test.each([
  ['a body above the limit', answering('x'.repeat(11)), 'too_large'],
  ['bytes that are not UTF-8', answering(new Uint8Array([0xff])), 'malformed'],
  [
    'a redirect',
    answering(secret, { status: 302, headers: { location: `https://other.example/${secret}` } }),
    'redirect',
  ],
  ['a redirect without a target', answering(null, { status: 304 }), 'redirect'],
  ['no connection', failing(coded('ECONNREFUSED')), 'network'],
  ['no connection, as fetch says it', failing(new TypeError(secret, { cause: coded('ENOTFOUND') })), 'network'],
  ['a parser that gave up', failing(coded('HPE_INVALID_CONSTANT')), 'network'],
  ['something that is no error', failing(secret), 'network'],
  ['a certificate of another host', failing(coded('ERR_TLS_CERT_ALTNAME_INVALID')), 'tls'],
  ['an authority that is not trusted', failing(coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE')), 'tls'],
  ['a certificate that signs itself', failing(coded('DEPTH_ZERO_SELF_SIGNED_CERT')), 'tls'],
  ['a certificate that expired', failing(new TypeError('', { cause: coded('CERT_HAS_EXPIRED') })), 'tls'],
])('refuses %s, and repeats nothing of it', async (_, fetch, code) => {
  const client = createHttpClient({ fetch, maxBytes: 10 })
  const error = await client.request({ url }).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ name: 'UpstreamError', code })
  expect(String(error)).toContain('issuer.example')
  expect(JSON.stringify(error) + String(error) + String((error as Error).cause)).not.toContain(secret)
})

test('stops reading at the first byte too many', async () => {
  let pulled = 0
  let cancelled = false
  const endless = new ReadableStream({
    pull(controller) {
      pulled++
      controller.enqueue(new Uint8Array(10))
    },
    cancel() {
      cancelled = true
    },
  })
  const client = createHttpClient({ fetch: answering(endless), maxBytes: 25 })
  await expect(client.request({ url })).rejects.toMatchObject({ code: 'too_large' })
  expect(pulled).toBeLessThan(10)
  expect(cancelled).toBe(true)
})

/** A timer that runs out when it is told to. */
function manualTimer() {
  const timer = { ms: 0, cancelled: false, fire: () => {} }
  const startTimer = (callback: () => void, ms: number) => {
    Object.assign(timer, { ms, fire: callback })
    return () => {
      timer.cancelled = true
    }
  }
  return { timer, startTimer }
}

test('a server that says nothing is given up at the deadline', async () => {
  const { timer, startTimer } = manualTimer()
  let signal: AbortSignal | undefined
  const fetch: Fetch = (_, init) => {
    signal = init.signal
    return new Promise(() => {})
  }
  const answer = createHttpClient({ fetch, deadlineMs: 1234, startTimer }).request({ url })
  expect(timer.ms).toBe(1234)
  timer.fire()
  await expect(answer).rejects.toMatchObject({ code: 'timeout' })
  expect(signal?.aborted).toBe(true)
})

test('the deadline begins with the turn, and not before', async () => {
  const begun: (() => void)[] = []
  const startTimer = (callback: () => void) => {
    begun.push(callback)
    return () => undefined
  }
  const answers: ((answer: Response) => void)[] = []
  const fetch: Fetch = () => new Promise((resolve) => answers.push(resolve))
  const client = createHttpClient({ fetch, startTimer, turns: createHostTurns(1) })
  const first = client.request({ url })
  const second = client.request({ url })
  const gone = new AbortController()
  const third = client.request({ url, signal: gone.signal })
  await new Promise(setImmediate)
  gone.abort()
  await expect(third).rejects.toMatchObject({ code: 'crowded', message: expect.stringContaining('issuer.example') })
  expect([begun.length, answers.length]).toEqual([1, 1])
  begun[0]?.()
  await expect(first).rejects.toMatchObject({ code: 'timeout' })
  await new Promise(setImmediate)
  expect([begun.length, answers.length]).toEqual([2, 2])
  answers[1]?.(new Response('two'))
  expect(await second).toMatchObject({ text: 'two' })
})

test('the deadline holds for the body too', async () => {
  const { timer, startTimer } = manualTimer()
  const reading = Promise.withResolvers<void>()
  const stalled = new ReadableStream({
    pull() {
      reading.resolve()
      return new Promise<void>(() => {})
    },
  })
  const answer = createHttpClient({ fetch: answering(stalled), startTimer }).request({ url })
  await reading.promise
  timer.fire()
  await expect(answer).rejects.toMatchObject({ code: 'timeout' })
})

test('no timer is left behind', async () => {
  const { timer, startTimer } = manualTimer()
  await createHttpClient({ fetch: answering('x'), startTimer }).request({ url })
  expect(timer.cancelled).toBe(true)
})

test.each([
  ['http://issuer.example/keys', 'tls'],
  ['file:///etc/passwd', 'tls'],
  ['keys', 'tls'],
  ['https://user@issuer.example/keys', 'network'],
  ['https://:secret@issuer.example/keys', 'network'],
])('sends nothing to %s', async (wrong, code) => {
  const seen: string[] = []
  const fetch: Fetch = async (wanted) => {
    seen.push(wanted)
    return new Response('')
  }
  await expect(createHttpClient({ fetch }).request({ url: wrong })).rejects.toMatchObject({ code })
  expect(seen).toEqual([])
})

test.each([200, 201, 299])('%i is success', (status) => {
  const answer = { status, headers: new Headers(), text: '' }
  expect(requireSuccess(answer, url)).toBe(answer)
})

test.each([400, 403, 404, 500])('%i is none', (status) => {
  const answer = { status, headers: new Headers(), text: secret }
  expect(() => requireSuccess(answer, url)).toThrow(expect.objectContaining({ code: 'status', status }))
  expect(() => requireSuccess(answer, url)).toThrow(`issuer.example answered with status ${status}`)
})

describe('whoever asked may leave', () => {
  const hanging: Fetch = (_, { signal }) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

  test('before the answer: the request ends', async () => {
    const leaving = new AbortController()
    const seen: AbortSignal[] = []
    const client = createHttpClient({
      fetch: (wanted, init) => {
        seen.push(init.signal)
        leaving.abort()
        return hanging(wanted, init)
      },
    })
    const asked = client.request({ url, signal: leaving.signal })
    await expect(asked).rejects.toMatchObject({
      code: 'timeout',
      message: 'nobody waits for issuer.example any longer',
    })
    expect(seen.map(({ aborted }) => aborted)).toEqual([true])
  })

  test('before the request', async () => {
    const client = createHttpClient({ fetch: hanging })
    const asked = client.request({ url, signal: AbortSignal.abort() })
    await expect(asked).rejects.toMatchObject({ code: 'timeout' })
  })

  test('after the answer, without a trace', async () => {
    const leaving = new AbortController()
    const client = createHttpClient({ fetch: answering('a') })
    expect((await client.request({ url, signal: leaving.signal })).text).toBe('a')
    leaving.abort()
    expect((await client.request({ url })).text).toBe('a')
  })
})
