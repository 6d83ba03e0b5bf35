import { once } from 'node:events'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { createTestAuthority } from '../support/tls.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { askJwtSvid, type Follower, followed, readJwtSvid, startFollower } from './support/federation.ts'
import { buildDeadlineMs, part } from './support/parts.ts'
import { type Spire, startSpire } from './support/spire.ts'

const trustDomain = 'spire.test'
const web = 'spiffe://spire.test/web'
const stack = cleanupAfterAll()

beforeAll(async () => {
  await part('spire.sh')
}, buildDeadlineMs)

const mint = async (spire: Spire, gateway: Follower) => ({
  bearer: await spire.mintJwt({ spiffeId: web, audience: gateway.origin }),
})

async function statusOf(spire: Spire, gateway: Follower): Promise<number> {
  return (await askJwtSvid(gateway, await mint(spire, gateway))).status
}

async function refresh(gateway: Follower) {
  const { status, json } = await gateway.admin(`/v1/federation/${trustDomain}/refresh`, { json: {} })
  return { status, json }
}

/** `https_web`, by a certificate of a CA of the test. */
async function serveDocument(initial: string) {
  const authority = await createTestAuthority()
  const folder = await makeFolder(stack)
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, authority.ca)
  let document = initial
  const server = createServer(await authority.issue(), (_, response) => void response.end(document)).listen(
    0,
    '127.0.0.1',
  )
  stack.defer(async () => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    endpoint: { endpoint: `https://localhost:${port}/`, profile: 'https_web', ca_file: caFile },
    put(next: string) {
      document = next
    },
  }
}

test('a trust domain whose bundle becomes empty is trusted in nothing, until it has keys again', async () => {
  const spire = await startSpire(stack, { trustDomain })
  const bundle = await spire.bundleShow()
  const at = (sequence: number, text = bundle) => JSON.stringify({ ...JSON.parse(text), spiffe_sequence: sequence })
  const { endpoint, put } = await serveDocument(at(5))
  const gateway = await startFollower(stack, await makeFolder(stack), [{ trustDomain, firstBundle: at(4), endpoint }])
  const proof = await mint(spire, gateway)
  expect((await askJwtSvid(gateway, proof)).status).toBe(200)

  for (const broken of ['', '<html></html>', '{"keys":', bundle.slice(0, -20)]) {
    put(broken)
    expect((await refresh(gateway)).status).toBe(409)
    expect((await askJwtSvid(gateway, proof)).status).toBe(200)
  }
  put('{"keys":[],"spiffe_sequence":6}')
  expect(await refresh(gateway)).toMatchObject({ status: 200, json: { jwt_authorities: 0, x509_authorities: 0 } })
  expect((await askJwtSvid(gateway, proof)).status).toBe(401)
  const { chainPem: cert, keyPem: key } = await spire.mintX509({ spiffeId: web })
  expect((await askJwtSvid(gateway, { cert, key })).status).toBe(401)
  expect((await gateway.recordsOf('jwt_svid')).slice(-2)).toMatchObject([
    { decision: 'refused', reason: expect.stringMatching(/no such key.*sequence 6/) },
    { decision: 'refused', reason: expect.stringMatching(/no path to a root.*sequence 6/) },
  ])

  put(at(7))
  expect((await refresh(gateway)).status).toBe(200)
  expect((await askJwtSvid(gateway, proof)).status).toBe(200)
})

/** Sockets can not be copied. */
function copyState(from: string, to: string): Promise<void> {
  return cp(from, to, { recursive: true, filter: (name) => !name.endsWith('.sock') })
}

test('a SPIRE that was restored from an older state is trusted again when its operator is believed', async () => {
  const [folder, backup] = [await makeFolder(stack), await makeFolder(stack)]
  const first = await startSpire(stack, { trustDomain, folder })
  const { ports } = first
  await first.stop()
  await copyState(folder, backup)

  const second = await startSpire(stack, { trustDomain, folder, ports })
  const gateway = await startFollower(stack, await makeFolder(stack), [await followed(second)])
  const change = async (spire: Spire) => {
    const { authorityId } = await spire.localAuthority('jwt', 'prepare')
    await spire.localAuthority('jwt', 'activate', authorityId)
  }
  await change(second)
  await change(second)
  const { json } = await refresh(gateway)
  expect(await statusOf(second, gateway)).toBe(200)
  await second.stop()

  await rm(folder, { recursive: true })
  await copyState(backup, folder)
  const restored = await startSpire(stack, { trustDomain, folder, ports })
  await change(restored)
  const refused = await gateway.command('federation', 'refresh', trustDomain)
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/sequence number \d+ is below \d+.*--accept-older/s),
  })
  expect(await statusOf(restored, gateway)).toBe(401)

  const accepted = await gateway.command('federation', 'refresh', trustDomain, '--accept-older', '--output', 'json')
  expect(accepted.code, accepted.stderr).toBe(0)
  expect(JSON.parse(accepted.stdout).sequence).toBe(String(JSON.parse(await restored.bundleShow()).spiffe_sequence))
  expect(await statusOf(restored, gateway)).toBe(200)
  const [record] = (await gateway.recordsOf('federation.bundle')).slice(-1)
  expect(record).toMatchObject({
    decision: 'granted',
    details: {
      trust_domain: trustDomain,
      source: 'endpoint',
      from_sequence: json.sequence,
      to_sequence: JSON.parse(accepted.stdout).sequence,
      keys_added_count: 1,
      keys_removed_count: 2,
    },
  })
})

test('the command line lists, shows, exports and imports', async () => {
  const spire = await startSpire(stack, { trustDomain })
  const gateway = await startFollower(stack, await makeFolder(stack), [await followed(spire)])
  const ok = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await gateway.command(...args)
    expect(code, stderr).toBe(0)
    return stdout
  }
  expect(await ok('federation', 'list')).toMatch(/spire\.test +\d+ +1 X\.509, 1 JWT/)
  expect(await ok('federation', 'show', trustDomain)).toContain(spire.spiffeId)
  const exported = join(gateway.folder, 'exported.json')
  await ok('federation', 'export', trustDomain, '--out', exported)
  const keysOf = (text: string) => new Set(JSON.parse(text).keys.map((key: object) => JSON.stringify(key)))
  expect(keysOf(await readFile(exported, 'utf8'))).toEqual(keysOf(await spire.bundleShow()))
  expect(keysOf((await gateway.ask(`/v1/bundles/${trustDomain}`)).text)).toEqual(keysOf(await spire.bundleShow()))

  const another = await startSpire(stack, { trustDomain })
  const parts = { pem: join(gateway.folder, 'roots.pem'), json: join(gateway.folder, 'keys.json') }
  await writeFile(parts.pem, await another.bundleShow('pem'))
  await writeFile(parts.json, JSON.stringify({ keys: await jwtKeys(another) }))
  await ok('federation', 'import', trustDomain, '--from', parts.pem, '--from', parts.json, '--load')
  const { json } = await askJwtSvid(gateway, await mint(another, gateway))
  expect(await readJwtSvid(gateway, json.token)).toBe('spiffe://example.org/spire/web')
  expect(await statusOf(spire, gateway)).toBe(401)
})

/** As a JWK Set has them, without `use`. */
async function jwtKeys(spire: Spire) {
  const { keys } = JSON.parse(await spire.bundleShow())
  return keys.filter(({ use }: { use: string }) => use === 'jwt-svid').map(({ use: _, ...key }: { use: string }) => key)
}
