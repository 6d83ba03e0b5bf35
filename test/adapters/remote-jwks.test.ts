import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UpstreamError } from '../../src/adapters/http-client.ts'
import { createRemoteJwks, type RemoteJwksConfig } from '../../src/adapters/remote-jwks.ts'
import { createFakeClock, createFakeFiles, createFakeUpstream, createTelemetryLog } from '../support/fake-upstream.ts'

const issuer = 'https://issuer.example'
const discoveryUrl = `${issuer}/.well-known/openid-configuration`
const jwksUri = 'https://keys.example/jwks'
const minute = 60_000
const hour = 60 * minute

function makeJwk(kid: string): object {
  return { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }), kid, use: 'sig' }
}

const one = makeJwk('one')
const two = makeJwk('two')

function setUp(config: Partial<RemoteJwksConfig> = {}, shareFetches = true) {
  const upstream = createFakeUpstream()
  const clock = createFakeClock()
  const files = createFakeFiles()
  const telemetry = createTelemetryLog()
  upstream.answers.set(discoveryUrl, { issuer, jwks_uri: jwksUri })
  upstream.answers.set(jwksUri, { keys: [one] })
  const keys = createRemoteJwks(
    { name: 'a', issuer, max_stale: 86_400, ...config },
    {
      request: upstream.request,
      now: () => new Date(clock.monotonicMs()),
      monotonicMs: clock.monotonicMs,
      files,
      telemetry,
      shareFetches,
    },
  )
  const kids = async (kid?: string) => (await keys.find(kid)).keys.map((key) => key.kid)
  const fetches = () => upstream.requests.filter(({ url }) => url !== discoveryUrl).length
  const goAway = () => upstream.answers.clear()
  /** Starts what nobody waits for, and lets it end. */
  const refreshAside = async () => {
    await kids()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { ...clock, upstream, files, telemetry, keys, kids, fetches, goAway, refreshAside }
}

test('finds keys by discovery', async () => {
  const { upstream, kids, keys } = setUp()
  expect(keys.size()).toBe(0)
  expect(keys.ageSeconds()).toBe(Number.POSITIVE_INFINITY)
  expect(await kids('one')).toEqual(['one'])
  expect(upstream.requests.map(({ url }) => url)).toEqual([discoveryUrl, jwksUri])
  expect(keys.size()).toBe(1)
  expect(keys.ageSeconds()).toBe(0)
})

test('an issuer with a last slash has one slash in its discovery URL', async () => {
  const { upstream, kids } = setUp({ issuer: `${issuer}/` })
  upstream.answers.set(discoveryUrl, { issuer: `${issuer}/`, jwks_uri: jwksUri })
  expect(await kids('one')).toEqual(['one'])
})

test('asks a jwks_uri of the configuration without discovery', async () => {
  const { upstream, kids } = setUp({ jwks_uri: jwksUri })
  expect(await kids('one')).toEqual(['one'])
  expect(upstream.requests.map(({ url }) => url)).toEqual([jwksUri])
})

test('without a kid all keys are meant', async () => {
  const { upstream, kids } = setUp()
  upstream.answers.set(jwksUri, { keys: [one, two] })
  expect(await kids()).toEqual(['one', 'two'])
})

test('holds says whether a kid is there', async () => {
  const { keys } = setUp()
  expect(await keys.holds('one')).toBe(true)
  expect(await keys.holds('two')).toBe(false)
  expect(await keys.holds(undefined)).toBe(true)
})

test.each([
  ['none is named', undefined, 5 * minute],
  ['it says ten minutes', 'public, max-age=600', 10 * minute],
  ['it says less than a minute', 'max-age=1', minute],
  ['it says nothing may be kept', 'no-store, max-age=600', minute],
  ['it says more than an hour', 'max-age=99999999', hour],
  ['it says nonsense', 'max-age=soon', 5 * minute],
])('keys are fresh for the max-age of the answer: %s', async (_, header, freshMs) => {
  const { upstream, kids, fetches, advance } = setUp()
  if (header !== undefined) upstream.headers['cache-control'] = header
  await kids('one')
  advance(freshMs - 1)
  await kids('one')
  expect(fetches()).toBe(1)
  advance(1)
  await kids('one')
  expect(fetches()).toBe(2)
})

test('callers that come together share one fetch', async () => {
  const { upstream, kids, fetches } = setUp()
  const release = upstream.hold()
  const found = Promise.all(Array.from({ length: 50 }, () => kids('one')))
  release()
  expect((await found).flat()).toEqual(Array(50).fill('one'))
  expect(fetches()).toBe(1)
})

test('where requests may not wait for each other, each fetches until keys are there', async () => {
  const { kids, fetches } = setUp({}, false)
  await expect(Promise.all([kids('one'), kids('one')])).rejects.toMatchObject({ code: 'upstream_failed' })
  expect(await kids('one')).toEqual(['one'])
  expect(fetches()).toBe(1)
})

test('the version changes with the keys, and only with them', async () => {
  const { upstream, kids, keys, advance } = setUp()
  const { version } = await keys.find('one')
  expect(keys.version()).toBe(version)
  advance(5 * minute)
  upstream.answers.set(jwksUri, { keys: [{ kty: 'oct' }, one] })
  await kids('one')
  expect(keys.version()).toBe(version)
  advance(5 * minute)
  upstream.answers.set(jwksUri, { keys: [two] })
  expect(await kids('one')).toEqual([])
  expect(keys.version()).not.toBe(version)
})

test('a kid that is not there causes a fetch, and a new key is found', async () => {
  const { upstream, kids, fetches, advance } = setUp()
  await kids('one')
  advance(1000)
  upstream.answers.set(jwksUri, { keys: [one, two] })
  expect(await kids('two')).toEqual(['two'])
  expect(fetches()).toBe(2)
})

test('the first fetch of all is not repeated for a kid that it did not bring', async () => {
  const { kids, fetches } = setUp()
  expect(await kids('two')).toEqual([])
  expect(fetches()).toBe(1)
})

test('a kid that stays missing is asked for again after two minutes', async () => {
  const { kids, fetches, advance } = setUp()
  await kids('one')
  advance(1000)
  await kids('two')
  advance(2 * minute - 1)
  await kids('two')
  expect(fetches()).toBe(2)
  advance(1)
  await kids('two')
  expect(fetches()).toBe(3)
})

test('a kid of a neighbour does not hold up a new key of ours', async () => {
  const { upstream, kids, advance } = setUp()
  upstream.headers['cache-control'] = 'max-age=3600'
  await kids('one')
  for (let asked = 0; asked < 20; asked++) {
    advance(30_000)
    await kids('neighbour')
  }
  advance(30_000)
  upstream.answers.set(jwksUri, { keys: [one, two] })
  expect(await kids('two')).toEqual(['two'])
})

test('a flood of made-up kids causes no flood of fetches', async () => {
  const { upstream, kids, fetches, advance } = setUp()
  upstream.headers['cache-control'] = 'max-age=3600'
  await kids('one')
  const times: number[] = []
  for (let second = 1; second < 3600; second++) {
    advance(1000)
    const before = fetches()
    for (let each = 0; each < 5; each++) await kids(`made-up-${second}-${each}`)
    if (fetches() > before) times.push(second)
  }
  // After 30, 60, 120, 240 and then 300 seconds each.
  expect(times.slice(0, 6)).toEqual([1, 31, 91, 211, 451, 751])
  expect(fetches()).toBeLessThan(20)
})

test('whatever kids come and when: at most one fetch per 30 seconds besides those of freshness', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.string()), { maxLength: 100 }),
      async (asked) => {
        const { upstream, kids, fetches, advance, monotonicMs } = setUp()
        upstream.headers['cache-control'] = 'max-age=3600'
        const startedMs = monotonicMs()
        for (const [waitMs, kid] of asked) {
          advance(waitMs)
          await kids(kid)
        }
        const elapsedMs = monotonicMs() - startedMs
        expect(fetches()).toBeLessThanOrEqual(2 + elapsedMs / 30_000 + elapsedMs / hour)
      },
    ),
    { numRuns: 50 },
  )
})

test('a kid of 10 kB causes no fetch', async () => {
  const { kids, fetches, advance } = setUp()
  await kids('one')
  advance(1000)
  expect(await kids('x'.repeat(10_000))).toEqual([])
  expect(fetches()).toBe(1)
})

test('the last good keys serve while the issuer is away, until max_stale', async () => {
  const { kids, keys, goAway, advance, telemetry } = setUp()
  const { version } = await keys.find('one')
  goAway()
  advance(24 * hour)
  expect(await kids('one')).toEqual(['one'])
  expect(keys.ageSeconds()).toBe(86_400)
  expect(keys.version()).toBe(version)
  advance(1)
  expect(keys.version()).not.toBe(version)
  await expect(kids('one')).rejects.toMatchObject({
    code: 'upstream_failed',
    reason: "there are no usable keys of issuer 'https://issuer.example': nobody is there",
  })
  expect(telemetry.lines).toContainEqual({
    name: 'apostille_jwks_refreshes_total',
    value: 1,
    fields: { authenticator: 'a', result: 'failed' },
  })
})

test('a max_stale shorter than the max-age wins', async () => {
  const { upstream, kids, goAway, advance } = setUp({ max_stale: 90 })
  upstream.headers['cache-control'] = 'max-age=3600'
  await kids('one')
  goAway()
  advance(90_001)
  await expect(kids('one')).rejects.toMatchObject({ code: 'upstream_failed' })
})

test('an issuer that is away is asked with growing pauses', async () => {
  const { kids, goAway, upstream, advance } = setUp()
  goAway()
  const times: number[] = []
  for (let second = 0; second < 300; second++) {
    const before = upstream.requests.length
    await expect(kids('one')).rejects.toMatchObject({ code: 'upstream_failed' })
    if (upstream.requests.length > before) times.push(second)
    advance(1000)
  }
  expect(times).toEqual([0, 5, 15, 35, 75, 135, 195, 255])
})

test('an issuer that comes back is heard at the next attempt', async () => {
  const { kids, keys, goAway, upstream, advance, refreshAside } = setUp()
  await kids('one')
  goAway()
  advance(5 * minute)
  expect(await kids('one')).toEqual(['one'])
  upstream.answers.set(discoveryUrl, { issuer, jwks_uri: jwksUri })
  upstream.answers.set(jwksUri, { keys: [two] })
  advance(5000)
  await refreshAside()
  expect(keys.ageSeconds()).toBe(0)
  expect(await kids('two')).toEqual(['two'])
})

test('nobody waits a second time for an issuer that is away', async () => {
  const { kids, goAway, upstream, advance } = setUp()
  await kids('one')
  goAway()
  advance(5 * minute)
  await kids('one')
  advance(5000)
  const release = upstream.hold()
  const before = upstream.requests.length
  expect(await kids('one')).toEqual(['one'])
  expect(upstream.requests.length).toBe(before + 1)
  release()
})

test.each([
  ['of another issuer', { issuer: 'https://other.example', jwks_uri: jwksUri }],
  ['of the same issuer in another spelling', { issuer: `${issuer}/`, jwks_uri: jwksUri }],
  ['without jwks_uri', { issuer }],
  ['with keys on http', { issuer, jwks_uri: 'http://keys.example/jwks' }],
  ['that is no JSON', '<html>'],
])('a discovery document %s is refused', async (_, document) => {
  const { upstream, kids, fetches } = setUp()
  upstream.answers.set(discoveryUrl, document)
  await expect(kids('one')).rejects.toMatchObject({ code: 'upstream_failed' })
  expect(fetches()).toBe(0)
})

test.each([
  ['a timeout', new UpstreamError('timeout', 'late')],
  ['no JSON', '<html>planted</html>'],
  ['no list', { keys: {} }],
  ['too many keys', { keys: Array(101).fill(two) }],
])('a key set that is %s keeps the old keys', async (_, answer) => {
  const { upstream, kids, advance, telemetry } = setUp()
  await kids('one')
  advance(5 * minute)
  upstream.answers.set(jwksUri, answer)
  expect(await kids('one')).toEqual(['one'])
  expect(telemetry.lines.filter(({ name }) => name === 'warning')).toHaveLength(1)
  expect(JSON.stringify(telemetry.lines)).not.toContain('planted')
})

test('an issuer that has no keys any more is believed', async () => {
  const { upstream, kids, advance } = setUp()
  await kids('one')
  advance(5 * minute)
  upstream.answers.set(jwksUri, { keys: [] })
  expect(await kids('one')).toEqual([])
})

test('an error of our own is no reason to stop, and its message is not repeated', async () => {
  const { upstream, kids, advance, telemetry } = setUp()
  await kids('one')
  advance(5 * minute)
  upstream.answers.get = () => {
    throw new RangeError('planted')
  }
  expect(await kids('one')).toEqual(['one'])
  const warnings = telemetry.lines.filter(({ name }) => name === 'warning')
  expect(warnings).toMatchObject([{ fields: { reason: 'unexpected RangeError' } }])
})

test('a discovered jwks_uri is kept like the keys, and then found again', async () => {
  const { upstream, kids, advance } = setUp()
  await kids('one')
  advance(5 * minute)
  upstream.answers.set(discoveryUrl, { issuer, jwks_uri: 'https://new.example/jwks' })
  upstream.answers.set('https://new.example/jwks', { keys: [two] })
  expect(await kids('two')).toEqual(['two'])
})

test('reads keys from a file, again when it changes, and keeps the old ones when it breaks', async () => {
  const { files, upstream, kids, advance, keys, refreshAside } = setUp({ jwks_file: '/keys.json' })
  files.texts.set('/keys.json', JSON.stringify({ keys: [one] }))
  expect(await kids('one')).toEqual(['one'])

  files.texts.set('/keys.json', JSON.stringify({ keys: [one, two] }))
  advance(5000)
  expect(await kids()).toEqual(['one', 'two'])
  const version = keys.version()

  files.texts.set('/keys.json', '{"keys":[')
  advance(5000)
  expect(await kids()).toEqual(['one', 'two'])
  expect(keys.version()).toBe(version)

  files.texts.delete('/keys.json')
  advance(minute)
  await refreshAside()
  expect(await kids()).toEqual(['one', 'two'])

  files.texts.set('/keys.json', JSON.stringify({ keys: [two] }))
  advance(minute)
  await refreshAside()
  expect(keys.version()).not.toBe(version)
  expect(await kids()).toEqual(['two'])
  expect(upstream.requests).toEqual([])
})

test('a file that was never there is upstream_failed', async () => {
  const { kids } = setUp({ jwks_file: '/keys.json' })
  await expect(kids('one')).rejects.toMatchObject({
    code: 'upstream_failed',
    reason: expect.stringContaining('jwks_file'),
  })
})

test('the token goes to hosts of the configuration only', async () => {
  const { files, upstream, kids, advance } = setUp({ token_file: '/token' })
  files.texts.set('/token', 'first\n')
  await kids('one')
  files.texts.set('/token', 'second')
  advance(hour)
  await kids('one')
  expect(upstream.requests.map(({ url, headers }) => [url, headers?.authorization])).toEqual([
    [discoveryUrl, 'Bearer first'],
    [jwksUri, undefined],
    [discoveryUrl, 'Bearer second'],
    [jwksUri, undefined],
  ])
})

test('the token goes to a jwks_uri of the configuration', async () => {
  const { files, upstream, kids } = setUp({ token_file: '/token', jwks_uri: jwksUri })
  files.texts.set('/token', 'first')
  await kids('one')
  expect(upstream.requests).toMatchObject([{ url: jwksUri, headers: { authorization: 'Bearer first' } }])
})

test.each([
  ['is missing', undefined],
  ['is empty', ''],
  ['has two lines', 'a\nb'],
])('nothing is sent when the token file %s', async (_, text) => {
  const { files, upstream, kids } = setUp({ token_file: '/token' })
  if (text !== undefined) files.texts.set('/token', text)
  await expect(kids('one')).rejects.toMatchObject({ reason: expect.stringContaining('token_file') })
  expect(upstream.requests).toEqual([])
})

test('tells when the keys that it holds were fetched, whatever fails after that', async () => {
  const { kids, telemetry, advance, monotonicMs, goAway, refreshAside } = setUp()
  const told = () =>
    telemetry.lines.filter(({ name }) => name === 'apostille_jwks_fetched_timestamp_seconds').map(({ value }) => value)
  const fetched = monotonicMs() / 1000
  await kids()
  expect(told()).toEqual([fetched])
  goAway()
  advance(2 * hour)
  await refreshAside()
  expect(told()).toEqual([fetched])
})

test('tells nothing of keys that could never be fetched', async () => {
  const { kids, telemetry, goAway } = setUp()
  goAway()
  await expect(kids()).rejects.toThrow()
  expect(telemetry.lines.map(({ name }) => name)).not.toContain('apostille_jwks_fetched_timestamp_seconds')
})
