import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { parsePem } from '../../src/protocol/encoding.ts'
import { createTestAuthority } from '../support/tls.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { freePorts, poll, run, runOk, start } from './support/command.ts'
import { type Follower, followed, startFollower } from './support/federation.ts'
import { buildDeadlineMs, part } from './support/parts.ts'
import { type Spire, startSpire } from './support/spire.ts'
import { type SpireAgent, startSpireAgent } from './support/spire-agent.ts'
import { fetchX509Svid, type X509SvidFiles } from './support/svids.ts'

const ourDomain = 'example.org'
const stack = cleanupAfterAll()
let program: string
let spire: Spire
let agent: SpireAgent
let gateway: Follower
/** PEM: of the CA that vouches for the gateway's main listener, to those who know no SPIFFE. */
let ca: string
/** Of the gateway: on the main listener for `https_web`, on its own for `https_spiffe`. */
let urls: { readonly https_web: string; readonly https_spiffe: string }

beforeAll(async () => {
  program = join(await part('go-program.sh', 'test/interop/go-spiffe'), 'go-spiffe-interop')
  await part('spire.sh')
  const folder = await makeFolder(stack)
  const authority = await createTestAuthority()
  const { cert, key } = await authority.issue()
  ca = authority.ca
  const files = await writeFiles(folder, { 'ca.pem': ca, 'tls.pem': cert, 'tls.key': key })
  spire = await startSpire(stack, { trustDomain: 'spire.test', env: { SSL_CERT_FILE: files['ca.pem'] } })
  const [bundlePort = 0] = await freePorts(1)
  const follower = await startFollower(stack, folder, [await followed(spire)], (origin) => ({
    listen: {
      address: `127.0.0.1:${new URL(origin).port}`,
      tls: { certificate: files['tls.pem'], key: files['tls.key'] },
    },
    bundle_endpoint: { address: `127.0.0.1:${bundlePort}`, profile: 'https_spiffe' },
  }))
  gateway = { ...follower, ask: (path, wanted) => follower.ask(path, { ca, ...wanted }) }
  urls = { https_web: `${gateway.origin}/v1/bundle`, https_spiffe: `https://127.0.0.1:${bundlePort}` }
  agent = await startSpireAgent(stack, { server: spire })
}, buildDeadlineMs)

async function writeFiles<Name extends string>(
  folder: string,
  contents: Readonly<Record<Name, string>>,
): Promise<Readonly<Record<Name, string>>> {
  const names = Object.keys(contents) as Name[]
  await Promise.all(names.map((name) => writeFile(join(folder, name), contents[name], { mode: 0o600 })))
  return Object.fromEntries(names.map((name) => [name, join(folder, name)])) as Record<Name, string>
}

/** Keys by what they are, without their order. */
function keysIn(document: string): ReadonlySet<string> {
  const keys: readonly { kid?: string; x5c?: readonly string[] }[] = JSON.parse(document).keys
  return new Set(keys.map(({ kid, x5c }) => kid ?? x5c?.[0] ?? ''))
}

async function change(...args: readonly string[]): Promise<{ readonly id: string }> {
  const { code, stdout, stderr } = await gateway.command('authority', ...args, '--output', 'json')
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout)
}

/** With what our operator hands to theirs; for `https_web`, the system's roots are enough. */
function relate(server: Spire, profile: keyof typeof urls, bundle: string): Promise<void> {
  const relation = { trustDomain: ourDomain, url: urls[profile] }
  if (profile === 'https_web') return server.federationCreate(relation)
  return server.federationCreate({ ...relation, endpointSpiffeId: `spiffe://${ourDomain}/apostille/server` }, bundle)
}

/** What it has of us once it was told to look. */
async function held(server: Spire): Promise<ReadonlySet<string>> {
  await server.federationRefresh(ourDomain)
  return keysIn((await server.bundleList()).get(ourDomain) ?? '{"keys":[]}')
}

describe('SPIRE follows our bundle, also when our authorities changed three times', () => {
  test.each(['https_web', 'https_spiffe'] as const)('by %s', async (profile) => {
    await using own = new AsyncDisposableStack()
    const folder = await makeFolder(own)
    const { 'ca.pem': caFile } = await writeFiles(folder, { 'ca.pem': ca })
    const server = await startSpire(own, { trustDomain: 'other.test', env: { SSL_CERT_FILE: caFile } })
    const first = (await gateway.ask('/v1/bundle')).text
    await relate(server, profile, first)
    expect(await held(server)).toEqual(keysIn(first))

    for (let times = 0; times < 3; times++) {
      for (const ring of ['x509', 'jwt/ES256']) {
        await change('prepare', ring)
        await server.federationRefresh(ourDomain) // within the hint, before it signs
        await change('activate', ring, '--force')
      }
      const published = (await gateway.ask('/v1/bundle')).text
      expect(await held(server)).toEqual(keysIn(published))
    }
    const now = keysIn((await gateway.ask('/v1/bundle')).text)
    expect([...now].filter((key) => !keysIn(first).has(key)).length).toBeGreaterThanOrEqual(6)
  })

  test('and a SPIRE that knows another gateway only does not believe ours', async () => {
    await using own = new AsyncDisposableStack()
    const server = await startSpire(own, { trustDomain: 'other.test' })
    await relate(server, 'https_spiffe', await spire.bundleShow())
    await expect(server.federationRefresh(ourDomain)).rejects.toThrow(/certificate signed by unknown authority/)
  })
})

/** Without their order. */
function rootsIn(pem: string): string {
  const roots = parsePem('CERTIFICATE', pem).map((der) => Buffer.from(der).toString('base64'))
  return roots.toSorted().join()
}

describe('go-spiffe programs of the two trust domains speak mutual TLS', () => {
  const theirId = 'spiffe://spire.test/ns/shop/web'
  /** What a program of ours trusts: the bundle of the other domain as the gateway hands it on. */
  let theirBundle: string
  let ours: X509SvidFiles

  beforeAll(async () => {
    await relate(spire, 'https_spiffe', (await gateway.ask('/v1/bundle')).text)
    await spire.federationRefresh(ourDomain)
    await spire.createEntry({ spiffeId: theirId, parentId: agent.nodeId, federatesWith: [ourDomain] })
    const { text } = await gateway.ask('/v1/bundles/spire.test')
    theirBundle = (await writeFiles(gateway.folder, { 'spire.test.json': text }))['spire.test.json']
    ours = await fetchX509Svid(gateway, await gateway.joinToken('backend'), 'backend')
  })

  const sideOfOurs = (svid: X509SvidFiles) => [svid.certFile, svid.keyFile, theirBundle, theirId]

  /** A program of theirs has all that it needs from its agent, our bundle included. */
  async function sideOfTheirs(): Promise<readonly string[]> {
    const [{ chainPem = '', keyPem = '', federatedPems: [ourRoots = ''] = [] } = {}] = await agent.fetchX509()
    const folder = await makeFolder(stack)
    const files = await writeFiles(folder, { 'svid.pem': chainPem, 'svid.key': keyPem, 'ours.pem': ourRoots })
    return [files['svid.pem'], files['svid.key'], files['ours.pem'], ours.spiffeId]
  }

  async function serve(side: readonly string[]) {
    const server = start(stack, program, ['serve', ...side])
    const [, port] = await server.line(/listening on (\d+)/)
    return { ...server, address: `127.0.0.1:${port}` }
  }

  test.each([
    ['theirs calls ours', sideOfTheirs, async () => sideOfOurs(ours), theirId],
    ['ours calls theirs', async () => sideOfOurs(ours), sideOfTheirs, 'spiffe://example.org/vm/backend'],
  ])('%s', async (_, client, server, caller) => {
    const { address } = await serve(await server())
    const { line } = JSON.parse(await runOk(program, ['dial', address, ...(await client())]))
    expect(line).toBe(`${caller}\n`)
  })

  test('until the authority of the one is revoked', async () => {
    const { json } = await gateway.admin('/v1/authorities')
    const [{ id } = { id: '' }] = json.items.filter(
      ({ ring, state }: { ring: string; state: string }) => ring === 'x509' && state === 'active',
    )
    await change('revoke', id)
    await spire.federationRefresh(ourDomain)
    const published = rootsIn((await gateway.ask('/v1/bundle?format=pem')).text)
    await poll('the agent has heard of it', 30_000, async () => {
      const [{ federatedPems: [pem = ''] = [] } = {}] = await agent.fetchX509()
      return rootsIn(pem) === published || undefined
    })
    const server = await serve(await sideOfTheirs())
    expect((await run(program, ['dial', server.address, ...sideOfOurs(ours)])).code).toBe(1)
    await server.line(/^refused /m)

    const renewed = await fetchX509Svid(gateway, await gateway.joinToken('backend'), 'renewed')
    const { line } = JSON.parse(await runOk(program, ['dial', server.address, ...sideOfOurs(renewed)]))
    expect(line).toBe(`${renewed.spiffeId}\n`)
  })
})
