import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { parseCertificate } from '../../src/protocol/certificate.ts'
import { parsePem } from '../../src/protocol/encoding.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { validateX509Svid } from '../../src/protocol/x509-svid.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { run } from './support/command.ts'
import { api, type Follower, startFollower } from './support/federation.ts'
import { buildDeadlineMs, part } from './support/parts.ts'
import { type MintedX509Svid, type Spire, startSpire } from './support/spire.ts'
import { fetchX509Svid, makeRequest } from './support/svids.ts'

const ourDomain = parseTrustDomain('example.org')
const web = 'spiffe://example.org/ns/shop/web'
const stack = cleanupAfterAll()
let gateway: Follower
/** Another issuer of our own trust domain. */
let spire: Spire
let minted: MintedX509Svid
let folder: string

beforeAll(async () => {
  await part('spire.sh')
  folder = await makeFolder(stack)
  gateway = await startFollower(stack, folder, [], () => ({ authorities: { x509: { ttl: '365d' } } }))
  const upstreamDisk = await signIntermediate('upstream', '30d')
  spire = await startSpire(stack, { trustDomain: ourDomain, upstreamDisk })
  minted = await spire.mintX509({ spiffeId: web, dns: ['web.shop.svc'] })
}, buildDeadlineMs)

async function signIntermediate(name: string, ttl: string, ...more: readonly string[]) {
  const out = join(folder, name)
  const { code, stderr } = await gateway.command('authority', 'sign-intermediate', '--out', out, '--ttl', ttl, ...more)
  expect(code, stderr).toBe(0)
  const at = (file: string) => join(out, file)
  return {
    certificateFile: at('intermediate.pem'),
    keyFile: at('intermediate.key'),
    bundleFile: at('bundle.pem'),
  }
}

/** By our root, as everybody reads it. */
async function verify({ chainPem }: MintedX509Svid, purpose: string) {
  const [chainFile, rootFile] = [join(folder, 'chain.pem'), join(folder, 'root.pem')]
  await writeFile(chainFile, chainPem)
  await writeFile(rootFile, (await gateway.ask('/v1/bundle?format=pem')).text)
  const flags = ['-x509_strict', '-purpose', purpose, '-CAfile', rootFile, '-untrusted', chainFile]
  return run('openssl', ['verify', ...flags, chainFile])
}

async function validate({ chain }: MintedX509Svid) {
  const roots = parsePem('CERTIFICATE', (await gateway.ask('/v1/bundle?format=pem')).text).map(parseCertificate)
  return validateX509Svid(chain, (name) => (name === ourDomain ? roots : []), { now: new Date() })
}

test.each(['sslclient', 'sslserver'])('SPIRE’s certificates chain to our root by openssl, for %s', async (purpose) => {
  expect(await verify(minted, purpose)).toMatchObject({ code: 0, stderr: '' })
})

test('and by our own validator, through an intermediate that is held to our names', async () => {
  const { spiffeId, path } = await validate(minted)
  expect(spiffeId.uri).toBe(web)
  expect(path.map(({ nameConstraints }) => nameConstraints?.permitted.uris)).toEqual([
    undefined,
    undefined,
    [ourDomain],
    undefined,
  ])
  expect(path[2]?.basicConstraints).toMatchObject({ ca: true, pathLength: 1 })
})

test('and its bundle is our root', async () => {
  const ours = parsePem('CERTIFICATE', (await gateway.ask('/v1/bundle?format=pem')).text)
  const [root] = parsePem('CERTIFICATE', await spire.bundleShow('pem'))
  expect(ours).toContainEqual(root)
})

test('a program of ours and one of SPIRE trust each other by the bundle of each', async () => {
  const { certificates } = await fetchX509Svid(gateway, await gateway.joinToken('backend'), 'backend')
  const theirs = parsePem('CERTIFICATE', minted.bundlePem).map(parseCertificate)
  const { spiffeId } = validateX509Svid(parsePem('CERTIFICATE', certificates), () => theirs, { now: new Date() })
  expect(spiffeId.uri).toBe('spiffe://example.org/vm/backend')
})

test.each<[string, string]>([
  ['X.509-SVID', '/v1/svid/x509'],
  ['JWT-SVID', '/v1/svid/jwt'],
])('none of them gets another %s of ours', async (_, path) => {
  const json = path.endsWith('jwt') ? { audience: [api] } : { csr: (await makeRequest()).csr }
  const { status, json: problem } = await gateway.ask(path, { cert: minted.chainPem, key: minted.keyPem, json })
  expect({ status, code: problem.code }).toEqual({ status: 401, code: 'proof_rejected' })
  const [record] = (await gateway.records()).slice(-1)
  expect(record).toMatchObject({ decision: 'refused', reason: expect.stringMatching(/no path to a root$/) })
})

test('nor does a JWT-SVID that SPIRE signs', async () => {
  const bearer = await spire.mintJwt({ spiffeId: web, audience: gateway.origin })
  expect((await gateway.ask('/v1/identities', { bearer })).status).toBe(401)
})

test('when our authority changes, SPIRE’s certificates still chain, and a new intermediate takes over', async () => {
  expect(await gateway.command('authority', 'activate', 'x509', '--force')).toMatchObject({ code: 0 })
  expect(await verify(minted, 'sslclient')).toMatchObject({ code: 0 })

  const before = parsePem('CERTIFICATE', await spire.bundleShow('pem')).length
  await signIntermediate('upstream', '30d') // SPIRE reads the files at each signing
  const { authorityId } = await spire.localAuthority('x509', 'prepare')
  await spire.localAuthority('x509', 'activate', authorityId)
  const renewed = await spire.mintX509({ spiffeId: web })
  expect((await validate(renewed)).path.at(-1)).not.toEqual((await validate(minted)).path.at(-1))
  expect(parsePem('CERTIFICATE', await spire.bundleShow('pem')).length).toBeGreaterThan(before)
})

test.each<[string, readonly string[], RegExp]>([
  ['longer than our authority lives', ['--ttl', '366d'], /the signing authority ends at .*authorities\.x509\.ttl/],
  ['with a request that is none', ['--csr', '/dev/null'], /csr/],
])('no intermediate is signed %s', async (_, args, message) => {
  const out = join(folder, 'refused')
  const { code, stderr } = await gateway.command('authority', 'sign-intermediate', '--out', out, ...args)
  expect(code).toBe(1)
  expect(stderr).toMatch(message)
})

test('each intermediate is on record', async () => {
  const granted = (await gateway.recordsOf('authority.sign_intermediate')).filter(
    ({ decision }) => decision === 'granted',
  )
  expect(granted).toHaveLength(2)
  for (const { details } of granted)
    expect(details).toMatchObject({ path_length: 1, serial_number: expect.stringMatching(/^[0-9a-f]{32}$/) })
})
