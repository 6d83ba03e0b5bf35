import { afterAll, beforeAll, expect } from 'vitest'
import { createFetchBundle } from '../../src/adapters/bundle-endpoint.node.ts'
import {
  type Authority,
  leavesAt,
  planAuthorities,
  type RingPlan,
  refreshHintSeconds,
} from '../../src/core/authority-plan.ts'
import { type BundleEndpoint, findFederationProblems, type PeerOutline } from '../../src/core/federation.ts'
import { readPeerState } from '../../src/core/federation-state.ts'
import type { ListenAddress } from '../../src/core/listen-address.ts'
import { type Certificate, parseCertificate } from '../../src/protocol/certificate.ts'
import { formatPem } from '../../src/protocol/encoding.ts'
import { buildSpiffeId, parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { parseTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { createTestAuthority, type TestCertificate } from '../support/certificate-authority.ts'
import {
  a,
  authorityOf,
  b,
  bundleText,
  createWorld,
  filePeer,
  noon,
  ours,
  spiffePeer,
  type World,
  webPeer,
} from '../support/federation-world.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startHttpsServer } from '../support/https-server.ts'
import { openTls, send, type WireTarget } from '../support/wire.ts'
import { defineConformance } from './requirements.ts'

const served = parseTrustDomain('example.org')
const serverId = buildSpiffeId(served, '/apostille/server')
const forever = new AbortController().signal
const untrusted = expect.objectContaining({ code: 'tls' })
let gateway: TestGateway
let bundleTarget: WireTarget
let publicTarget: WireTarget

beforeAll(async () => {
  gateway = await startGateway({
    document: {
      listen: { address: '127.0.0.1:0', tls: 'self' },
      bundle_endpoint: { address: '127.0.0.1:0', profile: 'https_spiffe' },
    },
  })
  publicTarget = gateway.target
  bundleTarget = {
    address: gateway.server.addresses.bundleEndpoint as ListenAddress,
    tls: { rejectUnauthorized: false },
  }
})
afterAll(() => gateway[Symbol.asyncDispose]())

const published = () => new TextDecoder().decode(gateway.server.gateway.published().bundle.body)

/** Reads the gateway's own endpoint as a peer does that holds `authorities`. */
function readAsPeer(id = serverId, held?: readonly Certificate[], host = '127.0.0.1'): Promise<string> {
  const { address } = bundleTarget
  const port = address.kind === 'tcp' ? address.port : 0
  const authorities = held ?? parseTrustBundle(served, published()).x509Authorities.map(parseCertificate)
  return fetchBy(
    { url: `https://${host}:${port}/`, private: false, profile: 'https_spiffe', spiffeId: id },
    authorities,
  )
}

function fetchBy(endpoint: BundleEndpoint, authorities: readonly Certificate[], now = new Date()): Promise<string> {
  return createFetchBundle({ now: () => now })(endpoint, authorities, forever)
}

const root = createTestAuthority({ uris: ['spiffe://a.example'] })
const serverOfA = buildSpiffeId(a, '/bundle-server')

/** A server of somebody else, which shows a certificate of `root`. */
async function startForeign(uri: string, location?: string) {
  const leaf = root.issue({ uris: [uri] })
  const tls = { cert: formatPem('CERTIFICATE', leaf.der), key: pemKey(leaf) }
  return startHttpsServer(tls, (request, response) => {
    if (location !== undefined && request.url === '/') response.writeHead(307, { location }).end()
    else response.end(bundleText(a))
  })
}

const pemKey = ({ key }: TestCertificate) => key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const ofA = (url: string): BundleEndpoint => ({ url, private: false, profile: 'https_spiffe', spiffeId: serverOfA })
const fetchOfA = (url: string) => fetchBy(ofA(url), [root.certificate], noon)

const plan: RingPlan = { ring: 'x509', algorithm: 'ES256', ttlSeconds: 3 * 86_400 }
const plus = (seconds: number) => new Date(noon.getTime() + seconds * 1000)

/** What there is at `now`, with what was wanted made. */
function planAt(current: readonly Authority[], now: Date): readonly Authority[] {
  const { authorities, wanted } = planAuthorities(current, [plan], now)
  if (wanted.length === 0) return authorities
  const added = wanted.map(
    ({ startsAt: _startsAt, ...rest }, index): Authority => ({
      ...rest,
      id: `${current.length + index}`,
      keyName: '',
      publicKey: '',
      sealedKey: 'sealed',
    }),
  )
  return planAt([...authorities, ...added], now)
}

const stateOf = (world: World) => readPeerState(world.store.documents.get(`federation/${a}`)?.body ?? '')
const outline = (endpoint: BundleEndpoint, hasFirstBundle = false): PeerOutline => ({
  trustDomain: a,
  hasFirstBundle,
  endpoint,
})

async function holding(sequence: number) {
  const world = createWorld()
  world.endpoints.set(a, async () => bundleText(a, { sequence }))
  const replica = world.start([webPeer(a)])
  await replica.turn()
  world.advance(300)
  return { world, replica }
}

defineConformance('SPIFFE Federation', { prefix: 'F', last: 20 }, [
  {
    id: 'F-01',
    level: 'MUST',
    section: '4.1',
    sentence: 'a new key is in the published bundle before it is used, by three refresh hints at least',
    test: () => {
      const first = planAt([], noon)
      const prepared = first.find(({ state }) => state === 'prepared')
      const active = first.find(({ state }) => state === 'active')
      const lead = 3 * refreshHintSeconds([active?.slotSeconds ?? 0])
      expect(lead).toBe(900)
      expect(prepared?.leadSeconds).toBeGreaterThanOrEqual(lead)
      const gap = (active?.activeUntil?.getTime() ?? 0) - (prepared?.createdAt.getTime() ?? 0)
      expect(gap / 1000).toBeGreaterThanOrEqual(lead)
      const tainted = first.map((each) => (each === active ? { ...each, activeUntil: noon } : each))
      const signing = (seconds: number) => planAt(tainted, plus(seconds)).find(({ state }) => state === 'active')?.id
      expect([signing(899), signing(900)]).toEqual([active?.id, prepared?.id])
    },
  },
  {
    id: 'F-02',
    level: 'SHOULD',
    section: '4.1',
    sentence: 'an old key stays until nothing that it signed is valid, and leaves the bundle then',
    test: () => {
      const [active] = planAt([], noon).filter(({ state }) => state === 'active')
      const retired = planAt(planAt([], noon), plus(86_400)).find(({ id }) => id === active?.id)
      expect(retired?.state).toBe('retiring')
      const end = retired ? leavesAt(retired) : noon
      expect(end.getTime()).toBeGreaterThan(plus(2 * 86_400).getTime())
      const there = (now: Date) =>
        planAt(planAt(planAt([], noon), plus(86_400)), now).some(({ id }) => id === active?.id)
      expect([there(new Date(end.getTime() - 1)), there(end)]).toEqual([true, false])
    },
  },
  {
    id: 'F-03',
    level: 'SHOULD',
    section: '4.2',
    sentence: 'the endpoint is polled at the refresh hint, and every five minutes without one',
    test: async () => {
      for (const [wishes, seconds] of [
        [{ hint: 120 }, 120],
        [{}, 300],
      ] as const) {
        const world = createWorld()
        world.endpoints.set(a, async () => bundleText(a, wishes))
        const replica = world.start([webPeer(a)])
        await replica.turn()
        world.advance(seconds - 1)
        await replica.turn()
        expect(world.asked).toHaveLength(1)
        world.advance(1)
        await replica.turn()
        expect(world.asked).toHaveLength(2)
      }
    },
  },
  {
    id: 'F-04',
    level: 'SHOULD',
    section: '4.2',
    sentence: 'the latest bundle is persisted, compared by sequence number, and replaced by the operator at will',
    test: async () => {
      const { world, replica } = await holding(5)
      world.endpoints.set(a, async () => bundleText(a, { sequence: 4 }))
      await replica.turn()
      const restarted = world.start([webPeer(a)])
      await restarted.refresh()
      expect([replica.sequences(), restarted.sequences()]).toEqual([{ [a]: 5 }, { [a]: 5 }])
      await restarted.refreshPeer(a, { acceptOlder: true })
      expect(restarted.sequences()).toEqual({ [a]: 4 })
      await restarted.importBundle(a, bundleText(a, { sequence: 3 }))
      expect(restarted.sequences()).toEqual({ [a]: 3 })
      world.endpoints.set(a, async () => bundleText(a, { keys: [2] }))
      await restarted.turn()
      expect(stateOf(world)?.bundle).toBe(bundleText(a, { keys: [2] }))
    },
  },
  {
    id: 'F-05',
    level: 'MUST',
    section: '4.2',
    sentence: 'bundles of different trust domains are not merged',
    test: async () => {
      const world = createWorld()
      const replica = world.start([filePeer(a, bundleText(a)), filePeer(b, bundleText(b))])
      await replica.turn()
      expect(replica.bundleOf(a)?.x509Authorities.map(({ der }) => der)).toEqual([authorityOf(a).der])
      expect(replica.bundleOf(b)?.x509Authorities.map(({ der }) => der)).toEqual([authorityOf(b).der])
      expect(world.store.documents.size).toBe(2)
      expect(replica.bundleOf(ours)).toBeUndefined()
    },
  },
  {
    id: 'F-06',
    level: 'MUST',
    section: '5',
    sentence: 'clients support both profiles, and a server has one of them or both',
    test: async () => {
      const web = await send(publicTarget, '/v1/bundle')
      expect([web.status, web.text]).toEqual([200, published()])
      expect(await readAsPeer()).toBe(published())
    },
  },
  {
    id: 'F-07',
    level: 'MUST',
    section: '5',
    sentence: 'TLS is that of Mozilla’s intermediate configuration',
    test: async () => {
      const handshake = (target: WireTarget, versions: object) => {
        const { promise, resolve } = Promise.withResolvers<string | null>()
        const socket = openTls({ ...target, tls: { ...target.tls, rejectUnauthorized: false, ...versions } })
        socket.once('secureConnect', () => resolve(socket.getProtocol())).once('error', () => resolve(null))
        return promise.finally(() => socket.destroy())
      }
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }
      const weak = { maxVersion: 'TLSv1.2', ciphers: 'NULL:RC4:3DES:@SECLEVEL=0' }
      for (const target of [publicTarget, bundleTarget]) {
        expect(await handshake(target, {})).toBe('TLSv1.3')
        expect(await handshake(target, { maxVersion: 'TLSv1.2' })).toBe('TLSv1.2')
        expect(await handshake(target, old)).toBeNull()
        expect(await handshake(target, weak)).toBeNull()
      }
    },
  },
  {
    id: 'F-08',
    level: 'MUST',
    section: '5.1',
    sentence: 'URL, profile, trust domain and SPIFFE ID are given and none is inferred from another',
    test: async () => {
      const world = createWorld()
      world.endpoints.set(b, async () => bundleText(a, { sequence: 5 }))
      const replica = world.start([{ ...webPeer(b), trustDomain: a }])
      await replica.turn()
      expect(replica.bundleOf(a)?.bundle.trustDomain).toBe(a)
      expect(replica.bundleOf(b)).toBeUndefined()
      const stranger = outline(
        { url: 'https://b.example/', private: false, profile: 'https_spiffe', spiffeId: buildSpiffeId(b, '/x') },
        true,
      )
      expect(findFederationProblems([stranger], ours)).toHaveLength(1)
    },
  },
  {
    id: 'F-09',
    level: 'MUST',
    section: '5.1',
    sentence: 'inside a control plane the name of the trust domain travels with its bundle',
    test: async () => {
      const { world, replica } = await holding(5)
      expect([...world.store.documents.keys()]).toEqual([`federation/${a}`])
      expect(replica.list()[0]).toMatchObject({ trustDomain: a })
      expect(replica.bundleOf(a)?.bundle.trustDomain).toBe(a)
      expect(replica.records[0]?.details).toMatchObject({ trust_domain: a })
    },
  },
  {
    id: 'F-10',
    level: 'MUST',
    section: '5.2.1.1',
    sentence: 'a URL has the scheme https and no user, in the configuration and in redirects',
    test: async () => {
      const at = (url: string) => findFederationProblems([outline({ url, private: false, profile: 'https_web' })], ours)
      expect(at('https://a.example:8443/x')).toEqual([])
      for (const url of ['http://a.example/', 'https://u@a.example/', 'https://u:p@a.example/', 'spiffe://a.example'])
        expect(at(url)).toHaveLength(1)
      for (const location of ['http://localhost/', 'https://u:p@localhost/']) {
        const server = await startForeign(serverOfA.uri, location)
        await expect(fetchOfA(server.origin)).rejects.toThrow()
        await server.close()
      }
    },
  },
  {
    id: 'F-11',
    level: 'MUST',
    section: '5.2.1',
    sentence: 'with https_web the certificate is valid for the host and by a root that the client trusts',
    test: async () => {
      expect((await send(publicTarget, '/v1/bundle')).status).toBe(200)
      const other = { ...publicTarget, tls: { ...publicTarget.tls, servername: 'other.example' } }
      await expect(send(other, '/v1/bundle')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
      const server = await startForeign(serverOfA.uri)
      const web: BundleEndpoint = { url: server.origin, private: false, profile: 'https_web' }
      await expect(fetchBy(web, [root.certificate])).rejects.toThrow(untrusted)
      await server.close()
    },
  },
  {
    id: 'F-12',
    level: 'MUST',
    section: '5.2.1.3',
    sentence: 'the client is not authenticated, neither by TLS nor by HTTP',
    test: async () => {
      const answer = await send(bundleTarget, '/')
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([200, undefined])
      const stranger = root.issue()
      const shown = { cert: formatPem('CERTIFICATE', stranger.der), key: pemKey(stranger) }
      const withCertificate = { ...bundleTarget, tls: { ...bundleTarget.tls, ...shown } }
      const withBearer = { headers: { authorization: 'Bearer nothing' } }
      expect((await send(withCertificate, '/', withBearer)).status).toBe(200)
      expect((await send(publicTarget, '/v1/bundle', withBearer)).status).toBe(200)
    },
  },
  {
    id: 'F-13',
    level: 'MUST',
    section: '5.2.1.3',
    sentence: 'GET on the path of the URL answers the newest bundle as JSON in UTF-8',
    test: async () => {
      for (const [target, path] of [
        [bundleTarget, '/'],
        [publicTarget, '/v1/bundle'],
      ] as const) {
        const answer = await send(target, path)
        expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json'])
        expect(parseTrustBundle(served, answer.text).x509Authorities.length).toBeGreaterThan(0)
        expect(answer.text).toBe(published())
      }
      const other = await send(bundleTarget, '/other')
      expect([other.status, other.headers['content-type']]).toEqual([404, 'application/problem+json'])
    },
  },
  {
    id: 'F-14',
    level: 'MAY',
    section: '5.2.1.3',
    sentence: 'a server redirects',
    reason: 'Ours answers at once. What stands before it may redirect, and F-15 is how we follow.',
  },
  {
    id: 'F-15',
    level: 'SHOULD',
    section: '5.2.1.4',
    sentence: 'redirects are followed within the profile, each poll from the configured URL on',
    test: async () => {
      const good = await startForeign(serverOfA.uri, '/moved')
      expect(await fetchOfA(`${good.origin}/`)).toBe(bundleText(a))
      expect(await fetchOfA(`${good.origin}/`)).toBe(bundleText(a))
      const impostor = await startForeign('spiffe://a.example/other')
      const leading = await startForeign(serverOfA.uri, `${impostor.origin}/moved`)
      await expect(fetchOfA(`${leading.origin}/`)).rejects.toThrow(untrusted)
      await Promise.all([good, impostor, leading].map((server) => server.close()))
    },
  },
  {
    id: 'F-16',
    level: 'MUST',
    section: '5.2.2',
    sentence:
      'with https_spiffe the certificate is an X.509-SVID of the configured ID, and the host name is not checked',
    test: async () => {
      expect(await readAsPeer(serverId, undefined, 'localhost')).toBe(published())
      await expect(readAsPeer(buildSpiffeId(served, '/other'))).rejects.toThrow(untrusted)
      await expect(readAsPeer(serverId, [root.certificate])).rejects.toThrow(untrusted)
      await expect(readAsPeer(serverOfA)).rejects.toThrow(untrusted)
    },
  },
  {
    id: 'F-17',
    level: 'MUST',
    section: '5.2.2.4',
    sentence:
      'a server in the trust domain that it serves is known by the operator’s bundle first, and then by the newest',
    test: async () => {
      const world = createWorld()
      const seen: Buffer[][] = []
      world.endpoints.set(a, async ({ authorities }) => {
        seen.push(authorities.map(({ der }) => der))
        return bundleText(a, { sequence: 6, keys: [2] })
      })
      const replica = world.start([spiffePeer(a, a, bundleText(a, { sequence: 5 }))])
      await replica.turn()
      world.advance(300)
      await replica.turn()
      expect(seen).toEqual([[authorityOf(a, 1).der], [authorityOf(a, 2).der]])
      const { endpoint } = spiffePeer(a, a)
      expect(endpoint && findFederationProblems([outline(endpoint)], ours)).toHaveLength(1)
    },
  },
  {
    id: 'F-18',
    level: 'MUST',
    section: '5.2.2.2',
    sentence: 'the trust domain of a server that serves another one is configured for itself, and not in a circle',
    test: async () => {
      const peer = (name: typeof a, by: typeof a, hasFirstBundle = false): PeerOutline => {
        const { endpoint } = spiffePeer(name, by)
        return { trustDomain: name, hasFirstBundle, ...(endpoint && { endpoint }) }
      }
      expect(findFederationProblems([peer(a, b)], ours)).toHaveLength(1)
      expect(findFederationProblems([peer(a, b), peer(b, a)], ours)).toHaveLength(2)
      expect(findFederationProblems([peer(a, b), peer(b, a, true)], ours)).toEqual([])
      const world = createWorld()
      world.endpoints.set(a, async ({ authorities }) => bundleText(a, { sequence: authorities.length }))
      const replica = world.start([spiffePeer(a, b), filePeer(b, bundleText(b, { keys: [1, 2] }))])
      await replica.turn()
      expect(replica.sequences()[a]).toBe(2)
    },
  },
  {
    id: 'F-19',
    level: 'SHOULD',
    section: '6.2',
    sentence: 'after a poll that failed the next interval is waited for',
    test: async () => {
      const { world, replica } = await holding(5)
      world.endpoints.clear()
      await replica.turn()
      world.advance(299)
      await replica.turn()
      expect(world.asked).toHaveLength(2)
      world.advance(901)
      await replica.turn()
      expect(world.asked).toHaveLength(3)
    },
  },
  {
    id: 'F-20',
    level: 'NOTE',
    section: '6',
    sentence: 'a relation is one-way, ends by stopping the polls and deleting the bundle, and is logged',
    test: async () => {
      const { world, replica } = await holding(5)
      replica.configure([])
      expect(replica.bundleOf(a)).toBeUndefined()
      await replica.turn()
      world.advance(86_400)
      await replica.turn()
      expect(world.asked).toHaveLength(1)
      expect(stateOf(world)).toBeUndefined()
      expect(replica.records.map(({ operation, details }) => [operation, details?.['source']])).toEqual([
        ['federation.bundle', 'endpoint'],
        ['federation.bundle', 'configuration'],
      ])
    },
  },
])
