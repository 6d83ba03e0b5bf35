import { beforeEach, describe, expect, test } from 'vitest'
import { createAdminApp } from '../../../src/http/admin-app.ts'
import { maxTrustBundleBytes } from '../../../src/protocol/trust-bundle.ts'
import { createTelemetryLog } from '../../support/fake-upstream.ts'
import {
  a,
  b,
  bundleText,
  createWorld,
  domain,
  filePeer,
  noon,
  ours,
  type Replica,
  spiffePeer,
  type World,
  webPeer,
} from '../../support/federation-world.ts'

interface Refused {
  readonly operation: string
  readonly code: string
  readonly details: unknown
}

let world: World
let replica: Replica
let refused: Refused[]
let app: ReturnType<typeof createAdminApp>

/** A gateway that holds bundle 5 of `a`, whose endpoint says the same, and of `b` a file. */
beforeEach(async () => {
  world = createWorld()
  world.endpoints.set(a, async () => bundleText(a, { sequence: 5, hint: 300 }))
  replica = world.start([webPeer(a), filePeer(b, bundleText(b, { sequence: 1, keys: [1, 2] }))])
  await replica.turn()
  refused = []
  const operator = {
    recordRefusal: async (_: string, operation: string, { code }: { readonly code: string }, details: unknown) =>
      void refused.push({ operation, code, details }),
  }
  app = createAdminApp({
    ...{ federation: replica, operator, telemetry: createTelemetryLog(), newRequestId: () => 'request-1' },
  } as unknown as Parameters<typeof createAdminApp>[0])
})

async function ask(path: string, method = 'GET', body?: object | string) {
  const text = typeof body === 'object' ? JSON.stringify(body) : body
  const answer = await app.request(`/v1/federation${path}`, { method, ...(text !== undefined && { body: text }) })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

const offer = (sequence: number) => world.endpoints.set(a, async () => bundleText(a, { sequence, keys: [1, 2] }))
const time = noon.toISOString()

describe('the list', () => {
  test('says of each how it stands', async () => {
    expect(await ask('')).toEqual({
      status: 200,
      body: {
        items: [
          {
            trust_domain: a,
            endpoint: `https://${a}/`,
            profile: 'https_web',
            sequence: '5',
            refresh_hint_seconds: 300,
            x509_authorities: 1,
            jwt_authorities: 0,
            source: 'endpoint',
            confirmed_at: time,
            next_poll_at: expect.stringMatching(/^2026-08-01T12:0\d:\d\d/),
            failures: 0,
          },
          {
            trust_domain: b,
            sequence: '1',
            x509_authorities: 2,
            jwt_authorities: 0,
            source: 'file',
            confirmed_at: time,
            failures: 0,
          },
        ],
        next: null,
      },
    })
  })

  test('names the ID of an endpoint that is known by one, and why a poll failed', async () => {
    replica.configure([spiffePeer(a, ours)])
    world.endpoints.clear()
    world.advance(400)
    await replica.turn()
    const { items } = (await ask('')).body as { readonly items: readonly unknown[] }
    expect(items).toMatchObject([
      {
        profile: 'https_spiffe',
        endpoint_spiffe_id: 'spiffe://ours.example/bundle-server',
        confirmed_at: time,
        failures: 1,
        problem: 'nobody is there',
      },
    ])
  })

  test('is in the order of names, page by page', async () => {
    const names = ['d.example', 'b.example', 'e.example', 'a.example', 'c.example'].map(domain)
    replica.configure(names.map((name) => filePeer(name, bundleText(name))))
    const pages: unknown[][] = []
    for (let after: unknown = ''; after !== null; ) {
      const { body } = await ask(`?limit=2${after === '' ? '' : `&after=${after}`}`)
      pages.push((body['items'] as readonly { readonly trust_domain: string }[]).map((item) => item.trust_domain))
      after = body['next']
    }
    expect(pages).toEqual([['a.example', 'b.example'], ['c.example', 'd.example'], ['e.example']])
  })

  test('is empty without peers', async () => {
    replica.configure([])
    expect((await ask('')).body).toEqual({ items: [], next: null })
  })

  test.each(['limit=0', 'limit=1001', 'limit=x', 'sort=name'])('takes no %s', async (query) => {
    expect(await ask(`?${query}`)).toMatchObject({ status: 400, body: { code: 'malformed_request' } })
  })
})

test('one peer is shown with its bundle as it came', async () => {
  const { status, body } = await ask(`/${a}`)
  expect([status, body['bundle']]).toEqual([200, bundleText(a, { sequence: 5, hint: 300 })])
})

describe('a refresh', () => {
  test('takes what is newer, and is named in the record', async () => {
    offer(6)
    expect(await ask(`/${a}/refresh`, 'POST')).toMatchObject({
      status: 200,
      body: { sequence: '6', x509_authorities: 2, source: 'endpoint' },
    })
    expect(replica.records.at(-1)).toMatchObject({ operation: 'federation.bundle', requestId: 'request-1' })
  })

  test('takes what is older only when it is told to', async () => {
    offer(4)
    const detail = 'its sequence number 4 is below 5, the one held: if the peer was restored, --accept-older takes it'
    expect(await ask(`/${a}/refresh`, 'POST', {})).toMatchObject({ status: 409, body: { code: 'conflict', detail } })
    expect(replica.sequences()).toMatchObject({ [a]: 5 })
    expect((await ask(`/${a}/refresh`, 'POST', { accept_older: true })).body).toMatchObject({ sequence: '4' })
    expect(refused).toEqual([{ operation: 'federation.refresh', code: 'conflict', details: { trust_domain: a } }])
  })

  test('says why the endpoint did not give a bundle', async () => {
    world.endpoints.clear()
    expect(await ask(`/${a}/refresh`, 'POST')).toMatchObject({
      status: 502,
      body: { code: 'upstream_failed', detail: 'nobody is there', request_id: 'request-1' },
    })
    world.endpoints.set(a, async () => '<html>')
    expect(await ask(`/${a}/refresh`, 'POST')).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('it is no SPIFFE bundle') },
    })
    expect(replica.sequences()).toMatchObject({ [a]: 5 })
  })

  test('is none where there is no endpoint', async () => {
    expect(await ask(`/${b}/refresh`, 'POST')).toMatchObject({
      status: 409,
      body: { detail: 'this trust domain has no endpoint: its bundle is that of its file' },
    })
  })
})

describe('an import', () => {
  test('takes the place of what is held, also when it is older', async () => {
    const bundle = bundleText(a, { sequence: 3, keys: [2] })
    expect(await ask(`/${a}/import`, 'POST', { bundle })).toMatchObject({
      status: 200,
      body: { sequence: '3', source: 'import' },
    })
    expect(replica.records.at(-1)).toMatchObject({
      requestId: 'request-1',
      details: { source: 'import', from_sequence: '5', to_sequence: '3' },
    })
  })

  test('of a bundle of a mebibyte is taken', async () => {
    const bundle = bundleText(a, { sequence: 9 }).padEnd(maxTrustBundleBytes)
    expect((await ask(`/${a}/import`, 'POST', { bundle })).status).toBe(200)
  })

  test('of what is no bundle changes nothing', async () => {
    for (const bundle of ['<html>', '{}', '[]']) {
      expect(await ask(`/${a}/import`, 'POST', { bundle })).toMatchObject({
        status: 400,
        body: { code: 'malformed_request', detail: expect.stringContaining('it is no SPIFFE bundle') },
      })
    }
    expect(replica.sequences()).toMatchObject({ [a]: 5 })
  })
})

test.each<[string, string, object | string | undefined]>([
  ['refresh', 'with an unknown field', { force: true }],
  ['refresh', 'with a field of another type', { accept_older: 'yes' }],
  ['refresh', 'with no JSON', 'now'],
  ['import', 'without body', undefined],
  ['import', 'without bundle', {}],
  ['import', 'with an empty bundle', { bundle: '' }],
  ['import', 'with the bundle as an object', { bundle: { keys: [] } }],
  ['import', 'with an unknown field', { bundle: '{}', force: true }],
  ['import', 'with a bundle above a mebibyte', { bundle: ' '.repeat(maxTrustBundleBytes + 1) }],
])('a %s %s is refused, and on record', async (act, _, body) => {
  expect(await ask(`/${a}/${act}`, 'POST', body)).toMatchObject({ status: 400, body: { code: 'malformed_request' } })
  const details = { trust_domain: a }
  expect(refused).toEqual([{ operation: `federation.${act}`, code: 'malformed_request', details }])
})

test.each(['c.example', 'A.example', '..', '%00', ours])('nothing is known of %s', async (name) => {
  for (const [path, method] of [
    ['', 'GET'],
    ['/refresh', 'POST'],
    ['/import', 'POST'],
  ] as const)
    expect((await ask(`/${name}${path}`, method, method === 'POST' ? { bundle: '{}' } : undefined)).status).toBe(404)
})

test('nothing is known of a trust domain whose relation ended', async () => {
  replica.configure([])
  expect((await ask(`/${a}`)).status).toBe(404)
  expect((await ask(`/${a}/refresh`, 'POST')).status).toBe(404)
  expect(refused).toEqual([{ operation: 'federation.refresh', code: 'not_found', details: undefined }])
})
