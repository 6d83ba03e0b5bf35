import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { createFileReader } from '../../../src/adapters/file-reader.node.ts'
import { createUpstreamFiles } from '../../../src/adapters/keys/upstream-files.ts'
import { slotSeconds } from '../../../src/core/authority-plan.ts'
import { formatPem } from '../../../src/protocol/encoding.ts'
import { parseSpiffeId, parseTrustDomain } from '../../../src/protocol/spiffe-id.ts'
import { parseTrustBundle } from '../../../src/protocol/trust-bundle.ts'
import { buildX509Svid } from '../../../src/protocol/x509-svid.ts'
import { createTestAuthorities, type TestAuthorities } from '../../support/authorities.ts'
import {
  createTestAuthority,
  makeTestKey,
  nameConstraintsExtension,
  type TestCertificate,
  type TestKey,
  testNow,
} from '../../support/certificate-authority.ts'
import { testWithOpenssl } from '../../support/openssl.ts'
import { makeStoreDirectory } from '../../support/store-directory.ts'

const directory = makeStoreDirectory()
afterAll(directory.remove)

const day = 86_400
const plans = [{ ring: 'x509', algorithm: 'ES256', ttlSeconds: day }] as const
const slot = slotSeconds(day)
const later = (seconds: number) => new Date(testNow.getTime() + seconds * 1000)
const root = createTestAuthority({ notAfter: later(300 * day) })
const certificatePem = (...certificates: readonly TestCertificate[]) =>
  certificates.map(({ der }) => formatPem('CERTIFICATE', der)).join('')
const keyPem = ({ privateKey }: TestKey) => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

const files = {
  certificate: directory.file('up.pem'),
  key: directory.file('up.key'),
  bundle: directory.file('roots.pem'),
}

interface Upstream {
  readonly chain: readonly TestCertificate[]
  readonly roots?: readonly TestCertificate[]
  readonly key?: TestKey
}

/** An authority of ours below files that hold this. */
function below({ chain, roots = [root], key }: Upstream): TestAuthorities {
  replace({ chain, roots, ...(key && { key }) })
  return createTestAuthorities({ plans, upstream: createUpstreamFiles(files, createFileReader()) })
}

function replace({ chain, roots = [root], key }: Upstream): void {
  writeFileSync(files.certificate, certificatePem(...chain))
  writeFileSync(files.bundle, certificatePem(...roots))
  writeFileSync(files.key, keyPem(key ?? chain[0]?.key ?? makeTestKey()))
}

const up = root.issueAuthority({ notAfter: later(30 * day) })

async function issue(world: TestAuthorities) {
  const active = world.authorities.current().x509()
  const svid = await buildX509Svid(active.authority, {
    spiffeId: parseSpiffeId('spiffe://example.org/web'),
    publicKeyInfo: makeTestKey().publicKeyInfo,
    serialNumber: randomBytes(16),
    now: world.now,
    ttlSeconds: 3600,
    dnsNames: ['web.example.org'],
  })
  return { svid, chain: active.chain }
}

/** What OpenSSL says of a leaf, with the chain that a peer is sent and the roots of our bundle. */
async function opensslVerify(world: TestAuthorities): Promise<string> {
  const { svid, chain } = await issue(world)
  const { body } = world.authorities.current().documents.bundlePem
  writeFileSync(directory.file('leaf.pem'), formatPem('CERTIFICATE', svid.certificate))
  writeFileSync(directory.file('chain.pem'), chain.map((der) => formatPem('CERTIFICATE', der)).join(''))
  writeFileSync(directory.file('bundle.pem'), body)
  const time = String(Math.floor(world.now.getTime() / 1000))
  const trust = ['-CAfile', 'bundle.pem', '-untrusted', 'chain.pem', '-no-CApath', '-no-CAstore']
  return ['sslclient', 'sslserver']
    .map((purpose) =>
      execFileSync('openssl', ['verify', '-x509_strict', '-purpose', purpose, '-attime', time, ...trust, 'leaf.pem'], {
        cwd: directory.path,
        encoding: 'utf8',
      }),
    )
    .join('')
}

describe('an authority below one in files', () => {
  testWithOpenssl.each([
    ['a root', { chain: [root] }, 1],
    ['an intermediate', { chain: [up] }, 2],
    ['two intermediates', { chain: [up.issueAuthority(), up] }, 3],
    ['an intermediate with the root after it', { chain: [up, root] }, 2],
    ['an RSA key', { chain: [root.issueAuthority({ key: makeTestKey('RSA') })] }, 2],
    ['P-384', { chain: [root.issueAuthority({ key: makeTestKey('P-384') })] }, 2],
    ['one whose path length leaves room', { chain: [root.issueAuthority({ pathLength: 1 })] }, 2],
  ] as const)('%s: openssl takes what it signs', async (_, upstream, sent) => {
    const world = below(upstream)
    await world.authorities.refresh()
    expect(world.authorities.current().x509().chain).toHaveLength(sent)
    expect(await opensslVerify(world)).toBe('leaf.pem: OK\nleaf.pem: OK\n')
  })

  test('publishes the roots above it, and not itself', async () => {
    const world = below({ chain: [up] })
    await world.authorities.refresh()
    const { bundle } = world.authorities.current().documents
    const { x509Authorities } = parseTrustBundle(parseTrustDomain('example.org'), Buffer.from(bundle.body).toString())
    expect(x509Authorities.map((der) => Buffer.from(der))).toEqual([root.der])
    expect(world.one('active').certificate).not.toBe(root.der.toString('base64'))
  })

  test('may sign workloads and no authority', async () => {
    const world = below({ chain: [up] })
    await world.authorities.refresh()
    expect(world.authorities.current().x509Issuers[0]?.basicConstraints).toMatchObject({ ca: true, pathLength: 0 })
  })

  testWithOpenssl('taint changes what signs, revoke is refused with the reason', async () => {
    const world = below({ chain: [up] })
    await world.authorities.refresh()
    const { id } = world.one('active')
    await expect(world.authorities.change({ action: 'revoke', id })).rejects.toThrow(
      expect.objectContaining({
        code: 'conflict',
        detail: expect.stringMatching(
          /trust the root above this authority.*taint it, and its lifetime .* is the bound/,
        ),
      }),
    )
    await world.authorities.change({ action: 'taint', id })
    expect(world.authorities.current().x509().id).not.toBe(id)
    expect(await opensslVerify(world)).toBe('leaf.pem: OK\nleaf.pem: OK\n')
  })
})

describe('files that are replaced', () => {
  testWithOpenssl('count from the next authority on; until then both roots are published', async () => {
    const world = below({ chain: [up] })
    await world.authorities.refresh()
    const otherRoot = createTestAuthority({ subject: 'Other root', notAfter: later(300 * day) })
    const other = otherRoot.issueAuthority({ notAfter: later(90 * day) })
    replace({ chain: [other], roots: [otherRoot] })
    await world.authorities.refresh()
    expect(world.authorities.list().map(({ upstreamRoots }) => upstreamRoots)).toEqual([
      [root.der.toString('base64')],
      [root.der.toString('base64')],
    ])
    world.pass(slot)
    await world.authorities.refresh()
    expect(world.one('prepared').upstreamRoots).toEqual([otherRoot.der.toString('base64')])
    expect(Buffer.from(world.authorities.current().documents.bundlePem.body).toString()).toBe(
      certificatePem(root, otherRoot),
    )
    expect(await opensslVerify(world)).toBe('leaf.pem: OK\nleaf.pem: OK\n')
    world.pass(slot)
    await world.authorities.refresh()
    expect(await opensslVerify(world)).toBe('leaf.pem: OK\nleaf.pem: OK\n')
  })
})

describe('a certificate above that ends soon', () => {
  testWithOpenssl('makes the slots of ours shorter, and nothing outlives it', async () => {
    const ending = root.issueAuthority({ notAfter: later(4 * 3600) })
    const world = below({ chain: [ending] })
    await world.authorities.refresh()
    expect(world.one('active')).toMatchObject({ slotSeconds: 7200, activeUntil: later(7200), expiresAt: later(14_400) })
    expect(world.one('prepared')).toMatchObject({ slotSeconds: 3600, expiresAt: later(14_400) })
    for (const seconds of [0, 7200, 3600, 3500]) {
      world.pass(seconds)
      await world.authorities.refresh()
      expect((await issue(world)).svid.expiresAt.getTime()).toBeLessThanOrEqual(later(14_400).getTime())
      expect(await opensslVerify(world)).toBe('leaf.pem: OK\nleaf.pem: OK\n')
    }
    expect(world.logged.at(-1)).toMatch(/the upstream certificate ends at 2026-08-01T16:00:00.000Z: replace it/)
  })

  test.each([
    ['in a minute', later(60)],
    ['a while ago', later(-60)],
  ])('%s: a clear error at start', async (_, notAfter) => {
    const world = below({ chain: [root.issueAuthority({ notAfter })] })
    await expect(world.authorities.refresh()).rejects.toThrow(
      expect.objectContaining({ code: 'no_authority', reason: expect.stringMatching(/ends at .*: replace it/) }),
    )
  })
})

describe('an error at start instead of SVIDs that nobody accepts', () => {
  const constrained = (wishes: Parameters<typeof nameConstraintsExtension>[0]) =>
    root.issueAuthority({ notAfter: later(30 * day), extensions: [nameConstraintsExtension(wishes)] })

  test.each<readonly [string, Upstream, RegExp]>([
    ['the key of another certificate', { chain: [up], key: makeTestKey() }, /up\.key: it is not the key of the cert/],
    [
      'a leaf',
      { chain: [root.issue({ notAfter: later(30 * day) })] },
      /up\.pem: the certificate is not that of an auth/,
    ],
    ['a CA that may not sign', { chain: [root.issueAuthority({ keyUsage: ['digitalSignature'] })] }, /CA:TRUE with/],
    ['a path length of 0', { chain: [root.issueAuthority({ pathLength: 0 })] }, /its path length is 0, so it may sign/],
    [
      'a path length further up that leaves no room',
      { chain: [root.issueAuthority({ pathLength: 1 }).issueAuthority(), root.issueAuthority({ pathLength: 0 })] },
      /nobody would accept.*have one made/,
    ],
    [
      'a path length of the root that leaves no room',
      (() => {
        const short = createTestAuthority({ pathLength: 0 })
        return { chain: [short.issueAuthority()], roots: [short] }
      })(),
      /nobody would accept.*path length/,
    ],
    [
      'URI names of another domain only',
      { chain: [constrained({ permitted: ['uri:other.example'] })] },
      /name constraints/,
    ],
    ['our URI names excluded', { chain: [constrained({ excluded: ['uri:example.org'] })] }, /name constraints/],
    [
      'an authority of another trust domain',
      { chain: [root.issueAuthority({ uris: ['spiffe://other.example'] })] },
      /trust domain/,
    ],
    ['an authority with a path', { chain: [root.issueAuthority({ uris: ['spiffe://example.org/ca'] })] }, /has a path/],
    [
      'a purpose that is not ours',
      { chain: [root.issueAuthority({ purposes: ['1.3.6.1.5.5.7.3.4'] })] },
      /extended key usage/,
    ],
    ['a bundle without its root', { chain: [up], roots: [createTestAuthority()] }, /no path to a root/],
    [
      'a root that has expired',
      (() => {
        const old = createTestAuthority({ notAfter: later(-1) })
        return { chain: [old.issueAuthority({ notAfter: later(30 * day) })], roots: [old] }
      })(),
      /certificate_expired/,
    ],
    [
      'a certificate that is not valid yet',
      { chain: [root.issueAuthority({ notBefore: later(day), notAfter: later(30 * day) })] },
      /not_yet_valid/,
    ],
    ['a curve that is not for this', { chain: [up], key: makeTestKey('secp256k1') }, /up\.key/],
  ])('%s', async (_, upstream, reason) => {
    const world = below(upstream)
    await expect(world.authorities.refresh()).rejects.toThrow(
      expect.objectContaining({ code: 'no_authority', reason: expect.stringMatching(reason) }),
    )
    expect(world.store.written('authorities')).toEqual([])
  })

  test.each([
    ['certificate', 'up.pem'],
    ['key', 'up.key'],
    ['bundle', 'roots.pem'],
  ] as const)('no %s', async (which, name) => {
    const world = below({ chain: [up] })
    rmSync(files[which])
    await expect(world.authorities.refresh()).rejects.toThrow(
      expect.objectContaining({ reason: expect.stringMatching(`${name}: there is no such file`) }),
    )
  })

  test.each([
    ['certificate', /up\.pem: certificates in PEM are expected/],
    ['bundle', /roots\.pem: certificates in PEM are expected/],
    ['key', /up\.key: a private key in PEM is expected, without a password/],
  ] as const)('something else as %s, of which nothing is repeated', async (which, reason) => {
    const world = below({ chain: [up] })
    writeFileSync(files[which], 'planted-secret')
    const refresh = world.authorities.refresh()
    await expect(refresh).rejects.toThrow(expect.objectContaining({ reason: expect.stringMatching(reason) }))
    await expect(refresh).rejects.not.toThrow(expect.objectContaining({ reason: expect.stringMatching('planted') }))
  })

  test('a key with a password', async () => {
    const world = below({ chain: [up] })
    const cipher = { cipher: 'aes-256-cbc', passphrase: 'p' }
    writeFileSync(files.key, up.key.privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }))
    await expect(world.authorities.refresh()).rejects.toThrow(
      expect.objectContaining({ reason: expect.stringMatching('without a password') }),
    )
  })
})

testWithOpenssl('constraints that our names keep are no obstacle', async () => {
  const extensions = [nameConstraintsExtension({ permitted: ['uri:example.org', 'dns:example.org'] })]
  const world = below({ chain: [root.issueAuthority({ notAfter: later(30 * day), extensions })] })
  await world.authorities.refresh()
  expect(await opensslVerify(world)).toBe('leaf.pem: OK\nleaf.pem: OK\n')
})
