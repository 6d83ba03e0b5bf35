import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { cleanupAfterAll } from './support/cleanup.ts'
import { type Finished, run, runOk } from './support/command.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { buildDeadlineMs, part } from './support/parts.ts'
import { fetchJwtSvid, fetchX509Svid, tamper, type X509SvidFiles } from './support/svids.ts'

const api = 'https://api.example.org'
const legacy = 'https://legacy.example.org'

const stack = cleanupAfterAll()
let python: string
let gateway: TestGateway
let web: X509SvidFiles

beforeAll(async () => {
  python = join(await part('python-environment.sh', 'test/interop/python/requirements.txt'), 'bin/python')
  gateway = await startGateway(stack, gatewayDocument({}))
  web = await fetchX509Svid(gateway, await gateway.joinToken('web'), 'web')
}, buildDeadlineMs)

const gatewayDocument = (x509: Readonly<Record<string, unknown>>) => (origin: string) => ({
  authorities: { x509, jwt: { algorithms: ['ES256', 'RS256'], rs256_audiences: [legacy] } },
  authenticators: { first: { type: 'join_token' }, ours: { type: 'spiffe', trust_domain: 'example.org' } },
  identities: [
    {
      from: 'first',
      spiffe_id: '/vm/${proof.name}',
      dns_names: ['${proof.name}.vm'],
      audiences: [api, legacy, origin],
      claims: { business_line: 'retail', regions: ['eu', 'us'], ünïcode: '✓' },
    },
  ],
})

const program = join(import.meta.dirname, 'python/interop.py')
const runPython = (args: readonly string[], input = ''): Promise<Finished> => run(python, [program, ...args], { input })
const readPython = async (args: readonly string[], input = '') =>
  JSON.parse(await runOk(python, [program, ...args], { input }))

describe('PyJWT, told nothing but the issuer', () => {
  test.each([
    ['ES256', api],
    ['RS256', legacy],
  ])('validates a JWT-SVID with %s', async (algorithm, audience) => {
    const token = await fetchJwtSvid(gateway, await gateway.joinToken('web'), audience)

    const { header, claims } = await readPython(['jwt', gateway.origin, gateway.bundleFile, audience], token)

    expect(header).toMatchObject({ alg: algorithm, typ: 'JWT' })
    expect(claims).toMatchObject({
      iss: gateway.origin,
      sub: 'spiffe://example.org/vm/web',
      aud: audience,
      business_line: 'retail',
      regions: ['eu', 'us'],
      ünïcode: '✓',
    })
  })

  test.each([
    ['for another audience', (token: string) => token, legacy, 'InvalidAudienceError'],
    ['with an altered signature', tamper, api, 'InvalidSignatureError'],
    ['without a signature', unsigned, api, 'InvalidAlgorithmError'],
  ])('refuses a JWT-SVID %s', async (_, change, audience, error) => {
    const token = change(await fetchJwtSvid(gateway, await gateway.joinToken('web'), api))

    const { code, stderr } = await runPython(['jwt', gateway.origin, gateway.bundleFile, audience], token)

    expect({ code, stderr: stderr.trim() }).toEqual({ code: 1, stderr: error })
  })

  test('refuses a JWT-SVID of another gateway of the same trust domain', async () => {
    const other = await startGateway(stack, gatewayDocument({}))
    const token = await fetchJwtSvid(other, await other.joinToken('web'), api)

    const { code, stderr } = await runPython(['jwt', gateway.origin, gateway.bundleFile, api], token)

    expect({ code, stderr: stderr.trim() }).toEqual({ code: 1, stderr: 'PyJWKClientError' })
  })
})

function unsigned(token: string): string {
  const [head = '', body] = token.split('.')
  const header = { ...JSON.parse(Buffer.from(head, 'base64url').toString()), alg: 'none' }
  return `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${body}.`
}

test.each(['pem', 'der', 'jwk'])(
  'a token with HS256 and our public key (%s) as its secret is no proof',
  async (form) => {
    const token = await fetchJwtSvid(gateway, await gateway.joinToken('web'), gateway.origin)
    expect((await gateway.ask('/v1/identities', { bearer: token })).status).toBe(200)
    const { kid } = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
    const jwk = (await gateway.ask('/keys')).json.keys.find((key: { kid: string }) => key.kid === kid)

    const forged = (await readPython(['forge'], `${token}\n${JSON.stringify(jwk)}`))[form]

    const { status, json } = await gateway.ask('/v1/identities', { bearer: forged })
    expect({ status, code: json.code }).toEqual({ status: 401, code: 'proof_rejected' })
  },
)

describe('cryptography', () => {
  test.each(['ES256', 'ES384', 'RS256'])(
    'finds every clause on X.509-SVIDs and authorities kept, with %s',
    async (algorithm) => {
      const other = await startGateway(stack, gatewayDocument({ algorithm }))
      const { certFile } = await fetchX509Svid(other, await other.joinToken('web'), 'web')

      expect(await readPython(['profile', certFile, other.bundleFile])).toEqual({ broken: [], authorities: 2 })
    },
  )

  test('and finds the clauses that an authority does not keep as a leaf, or a leaf as an authority', async () => {
    const { broken } = await readPython(['profile', gateway.bundleFile, web.certFile])

    expect(broken).toContain('leaf: 3.1: a path')
    expect(broken).toContain('leaf: 4.3: neither keyCertSign nor cRLSign')
    expect(broken).toContain('authority: 4.1: cA is true')
    expect(broken).toContain('a certificate is not issued by the next one')
  })

  test('verifies an X.509-SVID as that of a client', async () => {
    expect(await readPython(['chain', web.certFile, gateway.bundleFile, 'client'])).toMatchObject({ length: 2 })
  })

  test('verifies an X.509-SVID as that of a server with its DNS name', async () => {
    expect(await readPython(['chain', web.certFile, gateway.bundleFile, 'server', 'web.vm'])).toEqual({ length: 2 })
  })

  test('refuses it as that of a server with another DNS name', async () => {
    expect(await runPython(['chain', web.certFile, gateway.bundleFile, 'server', 'admin.vm'])).toMatchObject({
      code: 1,
    })
  })

  test('refuses it with the authorities of another gateway', async () => {
    const other = await startGateway(stack, gatewayDocument({}))

    expect(await runPython(['chain', web.certFile, other.bundleFile, 'client'])).toMatchObject({ code: 1 })
  })

  test.each(['P-256', 'P-384', 'RSA-2048', 'RSA-3072', 'RSA-4096'])('makes requests that we take: %s', async (kind) => {
    const { pem, der, public_key } = await readPython(['csr', kind])
    const bearer = await gateway.joinToken('requester')

    for (const csr of [pem, der]) {
      const { status, json } = await gateway.ask('/v1/svid/x509', { bearer, json: { csr } })
      expect(status).toBe(200)
      const certFile = join(gateway.folder, 'requester.pem')
      await writeFile(certFile, json.certificates)
      expect(await readPython(['key', certFile])).toEqual({
        public_key,
        uris: ['spiffe://example.org/vm/requester'],
        dns_names: ['requester.vm'],
      })
    }
  })

  test.each(['P-521', 'secp256k1', 'Ed25519', 'RSA-1024'])('makes requests that we refuse: %s', async (kind) => {
    const { pem } = await readPython(['csr', kind])

    const bearer = await gateway.joinToken('requester')
    const { status, json } = await gateway.ask('/v1/svid/x509', { bearer, json: { csr: pem } })

    expect({ status, code: json.code }).toEqual({ status: 400, code: 'malformed_request' })
  })
})
