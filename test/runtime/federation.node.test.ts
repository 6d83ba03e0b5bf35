/** Gateways that federate over real sockets: SVIDs of one are proofs at the other, and bundles go both ways. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importPublicKey } from '../../src/protocol/public-key-info.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { createTestAuthority, makeTestKey } from '../support/certificate-authority.ts'
import { certify, svidRequest } from '../support/certified.ts'
import { createAdminCheck } from '../support/described-answers.ts'
import { askJwt, bearer, type Document, startGateway, type TestGateway } from '../support/gateway.ts'
import { ecSigner, signToken } from '../support/raw-token.ts'
import { openHttp2, send, type WireTarget } from '../support/wire.ts'

const [issuerOfA, issuerOfB] = ['https://localhost', 'https://id.b.example']
const api = 'https://api.example.org'

/** A trust domain whose keys are all ours to misuse: its bundle is a file. */
const rogue = { root: createTestAuthority({ uris: [], ...times() }), key: makeTestKey() }

function times() {
  return { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 600_000) }
}

function rogueBundle(sequence: number, keys = [rogue.key]): string {
  return formatTrustBundle({
    trustDomain: parseTrustDomain('rogue.example'),
    sequence: BigInt(sequence),
    x509Authorities: [rogue.root.der],
    jwtAuthorities: keys.map(({ publicKeyInfo }) => ({ kid: 'rogue', key: importPublicKey(publicKeyInfo) })),
  })
}

function rogueToken(sub: string, audience: string): string {
  const exp = Math.floor(Date.now() / 1000) + 300
  return signToken({ alg: 'ES256', kid: 'rogue' }, { sub, aud: audience, exp }, ecSigner(rogue.key.privateKey))
}

const rogueProof = () => bearer(rogueToken('spiffe://rogue.example/web', issuerOfA))

const ruleFor = (name: string, from: string) => ({
  name,
  spiffe_id: `/${from}\${proof.path}`,
  from,
  audiences: [api],
})

function documentOf(name: 'a' | 'b', issuer: string, peers: Document = {}): Document {
  const foreign = Object.keys(peers).map((peer) => [peer.split('.')[0] ?? '', peer] as const)
  return {
    trust_domain: `${name}.example`,
    issuer,
    listen: { address: '127.0.0.1:0' },
    bundle_endpoint: { address: '127.0.0.1:0', profile: 'https_spiffe' },
    authenticators: {
      first: { type: 'join_token' },
      ours: { type: 'spiffe', trust_domain: `${name}.example` },
      ...Object.fromEntries(foreign.map(([alias, peer]) => [alias, { type: 'spiffe', trust_domain: peer }])),
    },
    federation: peers,
    identities: [
      { name: 'machines', spiffe_id: '/vm/${proof.name}', from: 'first', audiences: [api, issuerOfA, issuerOfB] },
      ...foreign.map(([alias]) => ruleFor(alias, alias)),
    ],
    policies: [
      {
        name: 'shut',
        forbid: '*',
        when: "identity.path.endsWith('/shut') && identity.authenticator != 'first'",
        reason: 'shut',
      },
    ],
  }
}

/** Verifies what listens by its own name. */
function named(gateway: TestGateway, issuer: string): TestGateway {
  const target = { ...gateway.target, tls: { ...gateway.target.tls, servername: new URL(issuer).hostname } }
  return { ...gateway, target, send: (path, wanted) => send(target, path, wanted) }
}

function portOf({ server }: TestGateway, name: 'main' | 'bundleEndpoint'): number {
  const address = server.addresses[name]
  if (address?.kind !== 'tcp') throw new Error(`${name} is not on a port`)
  return address.port
}

const bundleOf = (gateway: TestGateway, format = 'json') => textOf(gateway, `/v1/bundle?format=${format}`)
const textOf = async (gateway: TestGateway, path: string) => (await gateway.send(path)).text

function writeFile(gateway: TestGateway, name: string, text: string | Uint8Array): void {
  mkdirSync(join(gateway.folder, 'trust-bundles'), { recursive: true })
  writeFileSync(join(gateway.folder, name), text)
}

const files = { rogue: 'trust-bundles/rogue.example.json', b: 'trust-bundles/b.example.json', ca: 'a.pem' } as const

let a: TestGateway
let b: TestGateway

/** B follows A by `https_web`, A follows B by `https_spiffe`, and both trust a third that is a file. */
beforeAll(async () => {
  a = named(await startGateway({ document: documentOf('a', issuerOfA) }), issuerOfA)
  b = named(await startGateway({ document: documentOf('b', issuerOfB), checkAdmin: createAdminCheck() }), issuerOfB)
  for (const gateway of [a, b]) writeFile(gateway, files.rogue, rogueBundle(1))
  writeFile(a, files.b, await bundleOf(b))
  writeFile(b, files.ca, await bundleOf(a, 'pem'))
  const ofA = await a.reload(documentOf('a', issuerOfA, peersOfA()))
  const ofB = await b.reload(documentOf('b', issuerOfB, peersOfB()))
  expect([ofA.text, ofA.status, ofB.text, ofB.status]).toEqual([ofA.text, 200, ofB.text, 200])
  for (const [gateway, peer] of [
    [a, 'b.example'],
    [b, 'a.example'],
  ] as const) {
    const { status, text } = await refresh(gateway, peer)
    expect([text, status]).toEqual([text, 200])
  }
})
afterAll(async () => {
  await a?.[Symbol.asyncDispose]()
  await b?.[Symbol.asyncDispose]()
})

const peersOfA = (): Document => ({
  'b.example': {
    bundle: files.b,
    endpoint: `https://127.0.0.1:${portOf(b, 'bundleEndpoint')}`,
    profile: 'https_spiffe',
    endpoint_spiffe_id: 'spiffe://b.example/apostille/server',
  },
  'rogue.example': { bundle: files.rogue },
})
const peersOfB = (): Document => ({
  'a.example': {
    endpoint: `https://localhost:${portOf(a, 'main')}/v1/bundle`,
    profile: 'https_web',
    ca_file: files.ca,
  },
  'rogue.example': { bundle: files.rogue },
})

const refresh = (gateway: TestGateway, peer: string) => gateway.admin(`/v1/federation/${peer}/refresh`, 'POST')

/** A JWT-SVID of `from` for the issuer of the other. */
async function tokenOf(from: TestGateway, audience: string, name = 'one'): Promise<string> {
  const answer = await askJwt(from, (await from.joinToken({ name })).token, { audience: [audience] })
  expect([answer.text, answer.status]).toEqual([answer.text, 200])
  return String(answer.json().token)
}

async function recordOf(gateway: TestGateway, answer: { readonly headers: Readonly<Record<string, unknown>> }) {
  const [record] = await gateway.records(`request_id=${String(answer.headers['x-request-id'])}`)
  return record
}

const changesOf = async (gateway: TestGateway) =>
  (await gateway.records('operation=federation.bundle&limit=1000')).map(({ details }) => details)

describe('an SVID of one gateway at the other', () => {
  test.each<[string, () => readonly [TestGateway, TestGateway, string]]>([
    ['a', () => [a, b, issuerOfB]],
    ['b', () => [b, a, issuerOfA]],
  ])('a JWT-SVID of %s is mapped by its rule, and is on record', async (alias, sides) => {
    const [from, to, audience] = sides()
    const token = await tokenOf(from, audience)
    const answer = await askJwt(to, token)
    expect([answer.status, answer.json().spiffe_id]).toEqual([200, expect.stringMatching(`/${alias}/vm/one$`)])
    expect(await recordOf(to, answer)).toMatchObject({
      decision: 'granted',
      authenticator: alias,
      attributes: { spiffe_id: `spiffe://${alias}.example/vm/one` },
      spiffe_id: answer.json().spiffe_id,
      rule: alias,
    })
  })

  test('an X.509-SVID is mapped as well, over HTTP/1.1 and HTTP/2, and does not renew itself', async () => {
    const workload = await certify(a, 'one')
    const { tls } = workload.target
    const target: WireTarget = { ...b.target, tls: { ...b.target.tls, cert: tls?.cert, key: tls?.key } }
    const client = await openHttp2(target)
    const answers = [await send(target, '/v1/identities'), await client.send('/v1/identities')]
    await client.close()
    expect(answers.map(({ status, text }) => [status, JSON.parse(text).items[0].spiffe_id])).toEqual([
      [200, 'spiffe://b.example/a/vm/one'],
      [200, 'spiffe://b.example/a/vm/one'],
    ])
    const issued = await send(target, '/v1/svid/x509', svidRequest({ csr: workload.csr }))
    expect(issued.json().spiffe_id).toBe('spiffe://b.example/a/vm/one')
    const other = svidRequest({ csr: workload.csr, spiffe_id: 'spiffe://b.example/vm/one' })
    expect((await send(target, '/v1/svid/x509', other)).status).toBe(403)
  })

  test.each([1, 7])(
    'an X.509-SVID behind %i intermediates is a proof on each connection of a client that keeps sessions',
    async (depth) => {
      const intermediates = [rogue.root]
      for (let at = 0; at < depth; at++)
        intermediates.unshift(
          (intermediates[0] ?? rogue.root).issueAuthority({ subject: `Rogue ${at}`, uris: [], ...times() }),
        )
      const leaf = (intermediates[0] ?? rogue.root).issue({ uris: ['spiffe://rogue.example/deep'], ...times() })
      const cert = [leaf, ...intermediates.slice(0, -1)].map(pem).join('')
      const target = { ...b.target, tls: { ...b.target.tls, cert, key: keyPem(leaf.key) } }
      const agent = new Agent({ keepAlive: false })
      const answers = [await send(target, '/v1/identities', { agent }), await send(target, '/v1/identities', { agent })]
      expect(answers.map(({ status }) => status)).toEqual([200, 200])
      expect(answers.map(({ text }) => JSON.parse(text).items[0].spiffe_id)).toEqual(
        answers.map(() => 'spiffe://b.example/rogue/deep'),
      )
    },
  )

  test('has what rules and policies give it, and no more', async () => {
    const shut = await askJwt(b, await tokenOf(a, issuerOfB, 'shut'))
    expect([shut.status, shut.json().code]).toEqual([403, 'not_entitled'])
    expect(await recordOf(b, shut)).toMatchObject({ reason: expect.stringContaining('shut'), authenticator: 'a' })
    expect((await askJwt(b, await tokenOf(a, issuerOfB), { audience: ['https://else.example'] })).status).toBe(403)
    expect((await askJwt(b, await tokenOf(a, api))).status).toBe(401)
  })

  test('is taken in a token exchange', async () => {
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await tokenOf(a, issuerOfB),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      audience: api,
    })
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const answer = await b.send('/token', { method: 'POST', headers, body: String(form) })
    expect([answer.status, answer.json().token_type]).toEqual([200, 'N_A'])
  })

  test.each<[string, string, RegExp]>([
    ['ours', 'spiffe://b.example/vm/one', /no such key/],
    ['a third trust domain', 'spiffe://a.example/vm/one', /no such key.*bundle of a\.example/],
    ['a trust domain that nobody knows', 'spiffe://nobody.example/vm/one', /no authenticator takes/],
  ])('a foreign trust domain that signs an ID of %s is refused, and the record says why', async (_, id, reason) => {
    const jwt = await b.send('/v1/identities', { headers: bearer(rogueToken(id, issuerOfB)) })
    const leaf = rogue.root.issue({ uris: [id], ...times() })
    const tls = { ...b.target.tls, cert: pem(leaf) + pem(rogue.root), key: keyPem(leaf.key) }
    const x509 = await send({ ...b.target, tls }, '/v1/identities')
    expect([jwt.status, x509.status]).toEqual([401, 401])
    expect(jwt.json()).not.toHaveProperty('detail')
    expect(await recordOf(b, jwt)).toMatchObject({ code: 'proof_rejected', reason: expect.stringMatching(reason) })
    expect(await recordOf(b, x509)).toMatchObject({
      code: 'proof_rejected',
      reason: expect.stringMatching(/certificate_(path|signature)|no authenticator takes/),
    })
  })
})

const pem = ({ der }: { readonly der: Buffer }) =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
const keyPem = ({ privateKey }: ReturnType<typeof makeTestKey>) =>
  privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

describe('bundles that are handed on', () => {
  test('are those of the peers, word for word, with an ETag', async () => {
    const answer = await b.send('/v1/bundles/a.example')
    expect(answer.text).toBe(await bundleOf(a))
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': expect.stringMatching(/^public, max-age=\d+$/),
      'access-control-allow-origin': '*',
    })
    const etag = String(answer.headers.etag)
    const again = await b.send('/v1/bundles/a.example', { headers: { 'if-none-match': etag } })
    expect([again.status, again.text, again.headers.etag]).toEqual([304, '', etag])
    expect((await b.send('/v1/bundles/rogue.example')).text).toBe(rogueBundle(1))
    const pem = await b.send('/v1/bundles/a.example?format=pem')
    expect(pem.text).toMatch(/^-----BEGIN CERTIFICATE-----\n/)
    expect((await b.send('/v1/bundles/a.example?format=der')).status).toBe(400)
  })

  test('are open to scripts of other origins, which ask first whether they may say what they know', async () => {
    const headers = { origin: 'https://x.example', 'access-control-request-headers': 'if-none-match' }
    const { status, headers: allowed } = await b.send('/v1/bundles/a.example', { method: 'OPTIONS', headers })
    expect([status, allowed['access-control-allow-origin']]).toEqual([204, '*'])
    expect(allowed['access-control-allow-headers']).toBe('if-none-match')
  })

  test.each(['b.example', 'nobody.example', 'A.example', 'a.example/', '%00'])('there is none at %s', async (name) => {
    const answer = await b.send(`/v1/bundles/${name}`)
    expect([answer.status, answer.headers['content-type']]).toEqual([404, 'application/problem+json'])
  })
})

describe('the bundle endpoint', () => {
  const target = (): WireTarget => ({
    address: b.server.addresses.bundleEndpoint ?? b.target.address,
    tls: { ...b.target.tls },
  })

  test.each(['/', '/?x=1', '/v1/bundle'])('has our bundle at %s', async (path) => {
    const answer = await send(target(), path)
    expect([answer.status, answer.text]).toEqual([200, await bundleOf(b)])
    expect(answer.headers['content-type']).toBe('application/json')
    const head = await send(target(), path, { method: 'HEAD' })
    expect([head.status, head.text, head.headers['content-length']]).toEqual([
      200,
      '',
      String(Buffer.byteLength(answer.text)),
    ])
    const same = await send(target(), path, { headers: { 'if-none-match': String(answer.headers.etag) } })
    expect([same.status, same.text]).toEqual([304, ''])
  })

  test('speaks HTTP/2 too', async () => {
    const client = await openHttp2(target())
    const answer = await client.send('/')
    await client.close()
    expect([answer.status, answer.text]).toEqual([200, await bundleOf(b)])
  })

  test.each([
    ['POST', '/', 405],
    ['DELETE', '/v1/bundle', 405],
    ['GET', '/keys', 404],
    ['GET', '/v1/bundles/a.example', 404],
    ['POST', '/v1/svid/jwt', 404],
    ['GET', '//', 404],
  ])('%s %s is answered %i', async (method, path, status) => {
    const answer = await send(target(), path, { method })
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/problem+json'])
    expect(answer.headers['x-request-id']).toBe(answer.json().request_id)
    expect(answer.headers.allow).toBe(status === 405 ? 'GET, HEAD' : undefined)
  })

  test('asks for no client certificate, where the other listener does', async () => {
    const certificateRequest = 13
    expect(await handshakeOf(target())).not.toContain(certificateRequest)
    expect(await handshakeOf(b.target)).toContain(certificateRequest)
  })
})

/** Types of the messages in which a server introduces itself; TLS 1.2, which shows them. */
async function handshakeOf({ address, tls }: WireTarget): Promise<readonly number[]> {
  if (address.kind !== 'tcp') throw new Error('not on a port')
  const socket = connectTcp(address.port, address.host)
  const received: Buffer[] = []
  const wire = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _, done) => void socket.write(chunk, () => done()),
  })
  socket.on('data', (chunk: Buffer) => {
    received.push(chunk)
    wire.push(chunk)
  })
  const client = connectTls({ ...tls, socket: wire, maxVersion: 'TLSv1.2' })
  await new Promise((resolve, reject) => client.once('secureConnect', resolve).once('error', reject))
  socket.destroy()
  return messageTypes(Buffer.concat(received))
}

function messageTypes(bytes: Buffer): readonly number[] {
  const handshake: Buffer[] = []
  for (let at = 0; bytes[at] === 22; at += 5 + bytes.readUInt16BE(at + 3))
    handshake.push(bytes.subarray(at + 5, at + 5 + bytes.readUInt16BE(at + 3)))
  const messages = Buffer.concat(handshake)
  const found: number[] = []
  for (let at = 0; at < messages.length; at += 4 + messages.readUIntBE(at + 1, 3)) found.push(messages[at] ?? 0)
  return found
}

describe('the state of federation', () => {
  test('is told to operators, without keys', async () => {
    const { items, next } = (await b.admin('/v1/federation')).json() as {
      readonly items: readonly Document[]
      readonly next: unknown
    }
    expect(next).toBeNull()
    const [ofA, ofRogue] = items
    expect(ofA).toMatchObject({
      trust_domain: 'a.example',
      endpoint: `https://localhost:${portOf(a, 'main')}/v1/bundle`,
      profile: 'https_web',
      sequence: expect.stringMatching(/^\d{10}$/),
      refresh_hint_seconds: expect.any(Number),
      x509_authorities: 2,
      jwt_authorities: 4,
      source: 'endpoint',
      confirmed_at: expect.any(String),
      next_poll_at: expect.any(String),
      failures: 0,
    })
    expect(ofRogue).toMatchObject({ trust_domain: 'rogue.example', sequence: '1', source: 'file', failures: 0 })
    expect(ofRogue).not.toHaveProperty('endpoint')
    expect(ofRogue).not.toHaveProperty('next_poll_at')
  })

  test('is in the detail of readiness and in the metrics, with its age', async () => {
    await expect
      .poll(async () => (await b.admin('/v1/status')).json().federation)
      .toEqual([
        {
          trust_domain: 'a.example',
          has_bundle: true,
          confirmed_at: expect.any(String),
          age_seconds: expect.any(Number),
          failures: 0,
        },
        {
          trust_domain: 'rogue.example',
          has_bundle: true,
          confirmed_at: expect.any(String),
          age_seconds: expect.any(Number),
          failures: 0,
        },
      ])
    const metric = 'apostille_federation_bundle_confirmed_timestamp_seconds{trust_domain="a.example"}'
    expect(await b.metric(metric)).toBeGreaterThan(Date.now() / 1000 - 600)
  })

  test('has each change on record', async () => {
    expect(await changesOf(b)).toContainEqual(
      expect.objectContaining({
        trust_domain: 'a.example',
        source: 'endpoint',
        to_sequence: expect.any(String),
        keys_added: expect.arrayContaining([expect.stringMatching(/^x509 /), expect.stringMatching(/^jwt /)]),
        keys_removed: [],
      }),
    )
  })
})

describe('keys that go', () => {
  test('end cached proofs and open connections with the bundle that replaces theirs', async () => {
    const workload = await certify(a, 'kept')
    const token = await tokenOf(a, issuerOfB, 'kept')
    const tls = { ...b.target.tls, cert: workload.target.tls?.cert, key: workload.target.tls?.key }
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const client = await openHttp2({ ...b.target, tls })
    const all = async () => [
      (await send({ ...b.target, tls }, '/v1/identities', { agent })).status,
      (await client.send('/v1/identities')).status,
      (await b.send('/v1/identities', { headers: bearer(token) })).status,
    ]
    expect(await all()).toEqual([200, 200, 200])

    const { items } = (await a.admin('/v1/authorities')).json() as { readonly items: readonly Record<string, string>[] }
    for (const { id } of items.filter(({ state }) => state === 'active'))
      expect((await a.admin('/v1/authorities', 'POST', { action: 'revoke', id })).status).toBe(200)
    expect(await all()).toEqual([200, 200, 200])
    expect((await refresh(b, 'a.example')).status).toBe(200)
    expect(await all()).toEqual([401, 401, 401])

    expect((await askJwt(b, await tokenOf(a, issuerOfB, 'anew'))).status).toBe(200)
    agent.destroy()
    await client.close()
    const last = (await changesOf(b)).at(-1)
    expect(last).toMatchObject({ keys_removed: expect.arrayContaining([expect.stringMatching(/^x509 /)]) })
  })
})

describe('a reload', () => {
  let one: TestGateway
  const withRogue = () => documentOf('a', issuerOfA, { 'rogue.example': { bundle: files.rogue } })
  const status = async () => (await one.send('/v1/identities', { headers: rogueProof() })).status
  const held = async () => (await one.send('/v1/bundles/rogue.example')).text

  beforeAll(async () => {
    one = named(await startGateway({ document: documentOf('a', issuerOfA) }), issuerOfA)
  })
  afterAll(() => one?.[Symbol.asyncDispose]())

  test('with a bundle file that is not there is refused, and says so', async () => {
    const answer = await one.reload(withRogue())
    expect(answer.status).toBe(409)
    expect(answer.json()).toMatchObject({
      applied: false,
      problems: [
        {
          message: expect.stringMatching(
            /^federation\.rogue\.example\.bundle: .*rogue\.example\.json can not be read: there is no such file$/,
          ),
        },
      ],
    })
    expect(await status()).toBe(401)
  })

  test('begins a relation at once, and keeps it', async () => {
    writeFile(one, files.rogue, rogueBundle(1))
    expect((await one.reload(withRogue())).status).toBe(200)
    expect(await status()).toBe(200)
    await expect.poll(() => changesOf(one), { timeout: 5000 }).toMatchObject([{ source: 'file', to_sequence: '1' }])
  })

  test('takes a bundle file that changed, although the document did not', async () => {
    writeFile(one, files.rogue, rogueBundle(2, [makeTestKey()]))
    expect((await one.admin('/v1/reload', 'POST')).status).toBe(200)
    await expect.poll(status, { timeout: 5000 }).toBe(401)
    expect(JSON.parse(await held()).spiffe_sequence).toBe(2)
    expect((await changesOf(one)).at(-1)).toMatchObject({ from_sequence: '1', to_sequence: '2' })
  })

  test('with a bundle file that is gone is refused, and the bundle stays', async () => {
    writeFile(one, files.rogue, Buffer.of(0xff, 0xfe))
    const answer = await one.admin('/v1/reload', 'POST')
    expect([answer.status, answer.text]).toEqual([409, expect.stringContaining('can not be read')])
    expect(JSON.parse(await held()).spiffe_sequence).toBe(2)
    writeFile(one, files.rogue, rogueBundle(3))
    expect((await one.admin('/v1/reload', 'POST')).status).toBe(200)
    await expect.poll(status, { timeout: 5000 }).toBe(200)
  })

  test('ends a relation: nothing of it is trusted or handed on, now and after a restart', async () => {
    expect((await one.reload(documentOf('a', issuerOfA))).status).toBe(200)
    expect([await status(), (await one.send('/v1/bundles/rogue.example')).status]).toEqual([401, 404])
    expect((await changesOf(one)).at(-1)).toMatchObject({
      source: 'configuration',
      from_sequence: '3',
      keys_added: [],
      keys_removed: [expect.stringMatching(/^x509 /), expect.stringMatching(/^jwt /)],
    })
    one = named(await one.restart(), issuerOfA)
    expect([await status(), (await one.admin('/v1/status')).json().federation]).toEqual([401, []])
  })
})

test.each<[string, string | Uint8Array | undefined, RegExp]>([
  [
    'missing',
    undefined,
    /^federation\.rogue\.example\.bundle: \/.*\/trust-bundles\/rogue\.example\.json can not be read: there is no such file$/,
  ],
  ['not UTF-8', Buffer.of(0xff), /rogue\.example\.json can not be read: /],
  ['above 1 MiB', ' '.repeat(1024 * 1024 + 1), /can not be read: it has more than 1048576 bytes/],
])(
  'a first bundle that is %s keeps the gateway from starting, and the error says which',
  async (_, content, message) => {
    await using gateway = await startGateway({ document: documentOf('a', issuerOfA) })
    gateway.writeConfig(documentOf('a', issuerOfA, { 'rogue.example': { bundle: files.rogue } }))
    if (content !== undefined) writeFile(gateway, files.rogue, content)
    await expect(gateway.restart()).rejects.toMatchObject({
      name: 'DocumentError',
      message: expect.stringMatching(message),
    })
  },
)

test('a peer that is away is told of, and its last good bundle is trusted through a restart', async () => {
  await using gateway = await startGateway({ document: documentOf('a', issuerOfA) })
  const peer = { bundle: files.rogue, endpoint: 'https://127.0.0.1:1/', profile: 'https_web' }
  writeFile(gateway, files.rogue, rogueBundle(1))
  await gateway.reload(documentOf('a', issuerOfA, { 'rogue.example': peer }))
  const peerStatus = async (of: TestGateway) => (await of.admin('/v1/status')).json().federation
  await expect
    .poll(() => peerStatus(gateway), { timeout: 10_000 })
    .toMatchObject([{ has_bundle: true, failures: 1, problem: expect.stringContaining('127.0.0.1') }])
  const failed = 'apostille_federation_polls_total{trust_domain="rogue.example",result="failed"}'
  expect(await gateway.metric(failed)).toBe(1)
  expect((await refresh(gateway, 'rogue.example')).json()).toMatchObject({ code: 'upstream_failed' })

  await using again = named(await gateway.restart(), issuerOfA)
  expect((await again.send('/v1/identities', { headers: rogueProof() })).status).toBe(200)
})

test('what came from an endpoint is trusted after a restart while that is gone', async () => {
  const token = await tokenOf(a, issuerOfB)
  await a.close()
  b = named(await b.restart(), issuerOfB)
  expect((await askJwt(b, token)).status).toBe(200)
  const answer = await refresh(b, 'a.example')
  expect([answer.status, answer.json().code]).toEqual([502, 'upstream_failed'])
  expect((await askJwt(b, token)).status).toBe(200)
})
