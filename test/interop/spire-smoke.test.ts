import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseCertificate } from '../../src/protocol/certificate.ts'
import { formatPem, parsePem } from '../../src/protocol/encoding.ts'
import { validateJwtSvid } from '../../src/protocol/jwt-svid.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle, parseTrustBundle, type TrustBundle } from '../../src/protocol/trust-bundle.ts'
import {
  buildAuthorityCertificate,
  createX509Authority,
  validateX509Svid,
  type X509Authority,
} from '../../src/protocol/x509-svid.ts'
import { makeTestKey, type TestKey } from '../support/certificate-authority.ts'
import { createTestAuthority } from '../support/tls.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { buildDeadlineMs, part } from './support/parts.ts'
import { freeSpirePorts, type Spire, startSpire } from './support/spire.ts'
import { startSpireAgent } from './support/spire-agent.ts'

const trustDomain = parseTrustDomain('spire.test')
const web = 'spiffe://spire.test/ns/shop/web'
const audience = 'https://api.example.org'
const hourMs = 3_600_000
const code = (name: string) => expect.objectContaining({ code: name })

const stack = cleanupAfterAll()

beforeAll(async () => {
  await part('spire.sh')
}, buildDeadlineMs)

/** What it publishes as its own, or has of another trust domain. */
async function readBundle(spire: Spire, other?: string): Promise<TrustBundle> {
  const document = other === undefined ? await spire.bundleShow() : ((await spire.bundleList()).get(other) ?? '')
  return parseTrustBundle(parseTrustDomain(other ?? spire.trustDomain), document)
}

/** Without their order, which is another one each time that SPIRE is asked. */
const kids = ({ jwtAuthorities }: TrustBundle) => new Set(jwtAuthorities.map(({ kid }) => kid))

/** As a gateway does that trusts one domain. */
function validateX509(chain: readonly Uint8Array[], authorities: readonly Uint8Array[], purpose?: 'serverAuth') {
  const certificates = authorities.map(parseCertificate)
  return validateX509Svid(chain, (name) => (name === trustDomain ? certificates : []), {
    now: new Date(),
    leewaySeconds: 60,
    ...(purpose && { purpose }),
  })
}

function validateJwt(token: string, bundle: TrustBundle) {
  const keys = (name: string) => (name === trustDomain ? bundle.jwtAuthorities : [])
  return validateJwtSvid(token, { keys, audience, now: new Date(), leewaySeconds: 60 })
}

describe('a SPIRE of its own', () => {
  let spire: Spire

  beforeAll(async () => {
    spire = await startSpire(stack, { trustDomain, jwtIssuer: 'https://oidc.spire.test' })
  })

  test('has its X.509-SVIDs accepted, up to the root in its bundle', async () => {
    const { chain } = await spire.mintX509({ spiffeId: web, dns: ['web.shop.svc'], ttl: '10m' })
    const { x509Authorities } = await readBundle(spire)
    const { spiffeId, leaf, path } = validateX509(chain, x509Authorities)
    expect(spiffeId.uri).toBe(web)
    expect(leaf.subjectAltName?.dnsNames).toEqual(['web.shop.svc'])
    expect(path).toHaveLength(2)
  })

  test('has its X.509-SVIDs refused where another root of the same name is trusted', async () => {
    const { chain } = await spire.mintX509({ spiffeId: web })
    const { der } = await makeAuthority()
    expect(() => validateX509(chain, [der])).toThrow(code('certificate_path'))
  })

  test.each([
    ['ec-p256', 'ES256'],
    ['ec-p384', 'ES384'],
    ['rsa-2048', 'RS256'],
  ] as const)('has its JWT-SVIDs of a key %s accepted', async (jwtKeyType, algorithm) => {
    await using own = new AsyncDisposableStack()
    const other = await startSpire(own, { trustDomain, jwtKeyType, jwtIssuer: 'https://oidc.spire.test' })
    const token = await other.mintJwt({ spiffeId: web, audience: [audience, 'other'], ttl: '5m' })
    const bundle = await readBundle(other)
    const svid = validateJwt(token, bundle)
    expect(svid).toMatchObject({ algorithm, audience: [audience, 'other'] })
    expect(kids(bundle)).toEqual(new Set([svid.kid]))
    expect(svid.spiffeId.uri).toBe(web)
    expect(svid.claims).toMatchObject({ iss: 'https://oidc.spire.test' })
    expect(() => validateJwt(`${token.slice(0, -8)}AAAAAAAA`, bundle)).toThrow(code('jws_signature'))
  })

  test('serves its bundle as itself, with the keys that it shows its operator', async () => {
    const shown = await readBundle(spire)
    const { document, peer } = await fetchBundle(spire.bundleEndpoint, shown.x509Authorities)
    expect(validateX509([peer], shown.x509Authorities, 'serverAuth').spiffeId.uri).toBe(spire.spiffeId)
    const served = parseTrustBundle(trustDomain, document)
    expect(served.refreshHintSeconds).toBe(60)
    expect(served.sequence).toBe(shown.sequence)
    expect(served.x509Authorities).toEqual(shown.x509Authorities)
    expect(kids(served)).toEqual(kids(shown))
  })

  test('changes its JWT key step by step, and a revoked key vouches for nothing', async () => {
    await using own = new AsyncDisposableStack()
    const changing = await startSpire(own, { trustDomain })
    const before = await readBundle(changing)
    const oldToken = await changing.mintJwt({ spiffeId: web, audience })
    const { active } = await changing.authorities('jwt')
    expect(kids(before)).toEqual(new Set([active?.authorityId]))

    const prepared = await changing.localAuthority('jwt', 'prepare')
    const both = await readBundle(changing)
    expect(kids(both)).toEqual(new Set([active?.authorityId, prepared.authorityId]))
    expect(both.sequence).toBeGreaterThan(before.sequence ?? 0n)

    await changing.localAuthority('jwt', 'activate', prepared.authorityId)
    const newToken = await changing.mintJwt({ spiffeId: web, audience })
    expect(validateJwt(newToken, both).kid).toBe(prepared.authorityId)
    expect(validateJwt(oldToken, both).kid).toBe(active?.authorityId)

    await changing.localAuthority('jwt', 'taint', active?.authorityId)
    expect(kids(await readBundle(changing))).toEqual(kids(both)) // others do not hear of a taint
    await changing.localAuthority('jwt', 'revoke', active?.authorityId)
    const after = await readBundle(changing)
    expect(kids(after)).toEqual(new Set([prepared.authorityId]))
    expect(validateJwt(newToken, after).spiffeId.uri).toBe(web)
    expect(() => validateJwt(oldToken, after)).toThrow(code('jws_signature'))
  })

  test('changes its X.509 authority, and a revoked one vouches for nothing', async () => {
    await using own = new AsyncDisposableStack()
    const changing = await startSpire(own, { trustDomain })
    const old = await changing.mintX509({ spiffeId: web })
    const { active } = await changing.authorities('x509')
    const { authorityId } = await changing.localAuthority('x509', 'prepare')
    await changing.localAuthority('x509', 'activate', authorityId)
    const both = await readBundle(changing)
    const renewed = await changing.mintX509({ spiffeId: web })
    for (const { chain } of [old, renewed]) expect(validateX509(chain, both.x509Authorities).spiffeId.uri).toBe(web)

    await changing.localAuthority('x509', 'taint', active?.authorityId)
    await changing.localAuthority('x509', 'revoke', active?.authorityId)
    const after = await readBundle(changing)
    expect(after.x509Authorities).toHaveLength(1)
    expect(validateX509(renewed.chain, after.x509Authorities).spiffeId.uri).toBe(web)
    expect(() => validateX509(old.chain, after.x509Authorities)).toThrow(code('certificate_path'))
  })

  test('is the same after a new start in its folder', async () => {
    await using own = new AsyncDisposableStack()
    const folder = await makeFolder(own)
    const first = await startSpire(own, { trustDomain, folder })
    const token = await first.mintJwt({ spiffeId: web, audience })
    await first.stop()
    const { ports } = first
    const again = await startSpire(own, { trustDomain, folder, ports })
    expect(validateJwt(token, await readBundle(again)).spiffeId.uri).toBe(web)
  })

  test('gives SVIDs of both kinds to a workload of its agent', async () => {
    await using own = new AsyncDisposableStack()
    const agent = await startSpireAgent(own, { server: spire })
    const foreign = await makeAuthority()
    await spire.bundleSet('other.test', foreignBundle(foreign))
    await spire.createEntry({
      spiffeId: web,
      parentId: agent.nodeId,
      federatesWith: ['other.test'],
      jwtTtlSeconds: 300,
    })
    const [{ chainPem = '', bundlePem = '', federatedPems = [] } = {}] = await agent.fetchX509()
    const [chain, authorities] = [parsePem('CERTIFICATE', chainPem), parsePem('CERTIFICATE', bundlePem)]
    expect(validateX509(chain, authorities).spiffeId.uri).toBe(web)
    expect(federatedPems.map((pem) => parsePem('CERTIFICATE', pem))).toEqual([[foreign.der]])
    expect(validateJwt(await agent.fetchJwt(audience), await readBundle(spire)).spiffeId.uri).toBe(web)
  })
})

describe('a SPIRE below an upstream authority', () => {
  test('has its chain accepted up to a root of ours', async () => {
    await using own = new AsyncDisposableStack()
    const root = await makeAuthority({ pathLength: 1 })
    const spire = await startBelow(own, [root])
    const { chain, bundlePem } = await spire.mintX509({ spiffeId: web })
    expect(parsePem('CERTIFICATE', bundlePem)).toEqual([root.der])
    const { spiffeId, path } = validateX509(chain, (await readBundle(spire)).x509Authorities)
    expect(spiffeId.uri).toBe(web)
    expect(path).toHaveLength(3)
    expect(path[1]?.subjectAltName?.uris).toEqual(['spiffe://spire.test'])
  })

  test('has its chain accepted through an intermediate of ours that is held to its names', async () => {
    await using own = new AsyncDisposableStack()
    const root = await makeAuthority({ pathLength: 2 })
    const intermediate = await makeAuthority({ issuer: root, pathLength: 1, permittedUri: [trustDomain] })
    const spire = await startBelow(own, [intermediate, root])
    const { chain } = await spire.mintX509({ spiffeId: web, dns: ['web.shop.svc'] })
    expect(chain).toHaveLength(3)
    const { spiffeId, path } = validateX509(chain, [root.der])
    expect(spiffeId.uri).toBe(web)
    expect(path[2]?.nameConstraints?.permitted.uris).toEqual([trustDomain])
    const { active } = await spire.authorities('x509')
    expect(active?.upstreamSubjectKeyId).toBe(keyIdOf(intermediate))
  })

  test.each<[string, AuthorityWishes, RegExp]>([
    [
      'names of another trust domain',
      { pathLength: 1, permittedUri: ['other.test'] },
      /not permitted by any constraint/,
    ],
    ['no authority below it', { pathLength: 0 }, /too many intermediates/],
  ])('does not start where ours allows %s', async (_, wishes, reason) => {
    await using own = new AsyncDisposableStack()
    const root = await makeAuthority()
    const intermediate = await makeAuthority({ issuer: root, ...wishes })
    await expect(startBelow(own, [intermediate, root])).rejects.toThrow(reason)
  })

  test('moves to another root, and the first one is revoked', async () => {
    await using own = new AsyncDisposableStack()
    const [first, second] = [await makeAuthority({ pathLength: 1 }), await makeAuthority({ pathLength: 1 })]
    const folder = await makeFolder(own)
    const spire = await startBelow(own, [first], folder)
    await writeUpstream(folder, [second])
    const { authorityId } = await spire.localAuthority('x509', 'prepare')
    await spire.localAuthority('x509', 'activate', authorityId)
    expect((await readBundle(spire)).x509Authorities).toEqual([first.der, second.der])

    await spire.upstreamAuthority('taint', keyIdOf(first))
    await spire.upstreamAuthority('revoke', keyIdOf(first))
    expect((await readBundle(spire)).x509Authorities).toEqual([second.der])
    const { chain } = await spire.mintX509({ spiffeId: web })
    expect(validateX509(chain, [second.der]).spiffeId.uri).toBe(web)
  })
})

describe('two SPIREs', () => {
  test('follow each other by https_spiffe, with a relation in the file and one made later', async () => {
    await using own = new AsyncDisposableStack()
    const [here, there] = [await freeSpirePorts(), await freeSpirePorts()]
    const one = await startSpire(own, {
      trustDomain,
      ports: here,
      federatesWith: [relation('other.test', there.bundleEndpoint)],
    })
    const other = await startSpire(own, { trustDomain: 'other.test', ports: there })
    await other.federationCreate(relation(trustDomain, here.bundleEndpoint), await one.bundleShow())
    await one.bundleSet('other.test', await other.bundleShow())

    for (const [followed, follower] of [
      [one, other],
      [other, one],
    ] as const) {
      const { authorityId } = await followed.localAuthority('jwt', 'prepare')
      await follower.federationRefresh(followed.trustDomain)
      expect(kids(await readBundle(follower, followed.trustDomain))).toContain(authorityId)
    }
  })

  test('follow one another by https_web, where the certificate is one of a CA that they know', async () => {
    await using own = new AsyncDisposableStack()
    const folder = await makeFolder(own)
    const authority = await createTestAuthority()
    const { cert, key } = await authority.issue()
    const files = await writeFiles(folder, { ca: authority.ca, cert, key })
    const bundleEndpoint = { certificateFile: files.cert, keyFile: files.key }
    const one = await startSpire(own, { trustDomain, bundleEndpoint })
    const other = await startSpire(own, { trustDomain: 'other.test', env: { SSL_CERT_FILE: files.ca } })
    await other.federationCreate({ trustDomain, url: `https://localhost:${one.ports.bundleEndpoint}` })
    await other.federationRefresh(trustDomain)
    expect(kids(await readBundle(other, trustDomain))).toEqual(kids(await readBundle(one)))
  })
})

interface Authority {
  readonly der: Buffer
  readonly key: TestKey
  readonly authority: X509Authority
}

interface AuthorityWishes {
  readonly issuer?: Authority
  readonly pathLength?: number
  readonly permittedUri?: readonly string[]
}

/** Of `spire.test`, from five minutes ago for two days: a root, or an intermediate. */
async function makeAuthority({ issuer, ...wishes }: AuthorityWishes = {}): Promise<Authority> {
  const key = makeTestKey()
  const der = await buildAuthorityCertificate({
    trustDomain,
    publicKeyInfo: key.publicKeyInfo,
    serialNumber: randomBytes(16),
    notBefore: new Date(Date.now() - 300_000),
    notAfter: new Date(Date.now() + 48 * hourMs),
    ...wishes,
    ...(issuer === undefined ? { signer: key.signer } : { issuer: issuer.authority }),
  })
  const certificate = parseCertificate(der)
  return { der, key, authority: createX509Authority({ certificate, signer: key.signer, chain: [] }) }
}

/** As a gateway of ours publishes it. */
function foreignBundle({ der }: Authority): string {
  return formatTrustBundle({ trustDomain: parseTrustDomain('other.test'), x509Authorities: [der], jwtAuthorities: [] })
}

function keyIdOf({ authority }: Authority): string {
  return authority.certificate.subjectKeyId?.toString('hex') ?? ''
}

type AuthorityLine = readonly [Authority, ...Authority[]]

/** Below the first of `line`; the last is the root. Without an intermediate, SPIRE takes the root's file for both. */
async function startBelow(own: AsyncDisposableStack, line: AuthorityLine, folder?: string): Promise<Spire> {
  const { signing, key, root } = await writeUpstream(folder ?? (await makeFolder(own)), line)
  const isRoot = line.length === 1
  const upstreamDisk = { certificateFile: signing, keyFile: key, ...(!isRoot && { bundleFile: root }) }
  return startSpire(own, { trustDomain, upstreamDisk })
}

function writeUpstream(folder: string, line: AuthorityLine) {
  const [first, ...above] = line
  return writeFiles(folder, {
    signing: [first, ...above.slice(0, -1)].map(pemOf).join(''),
    key: first.key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    root: pemOf(above.at(-1) ?? first),
  })
}

function pemOf({ der }: Authority): string {
  return formatPem('CERTIFICATE', der)
}

/** Their paths, by the names of the contents. */
async function writeFiles<Name extends string>(
  folder: string,
  contents: Readonly<Record<Name, string>>,
): Promise<Readonly<Record<Name, string>>> {
  const names = Object.keys(contents) as Name[]
  await Promise.all(names.map((name) => writeFile(join(folder, name), contents[name], { mode: 0o600 })))
  return Object.fromEntries(names.map((name) => [name, join(folder, name)])) as Record<Name, string>
}

function relation(name: string, port: number) {
  return { trustDomain: name, url: `https://localhost:${port}`, endpointSpiffeId: `spiffe://${name}/spire/server` }
}

/** The document, and the certificate of who served it: one of `authorities`, for whatever name. */
async function fetchBundle(url: string, authorities: readonly Uint8Array[]) {
  const ca = authorities.map((der) => formatPem('CERTIFICATE', der))
  const answered = Promise.withResolvers<IncomingMessage>()
  get(url, { ca, agent: false, checkServerIdentity: () => undefined }, answered.resolve).on('error', answered.reject)
  const response = await answered.promise
  const { raw } = (response.socket as TLSSocket).getPeerCertificate()
  return { peer: raw, document: await text(response) }
}
