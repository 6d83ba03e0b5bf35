import { X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { runOk } from './support/command.ts'
import {
  api,
  askJwtSvid,
  authenticatorOf,
  commandLine,
  type Follower,
  fetchX509Names,
  followed,
  readJwtSvid,
  type ShownProof,
  startFollower,
} from './support/federation.ts'
import { buildDeadlineMs, part } from './support/parts.ts'
import { type Spire, startSpire } from './support/spire.ts'
import { type SpireAgent, startSpireAgent } from './support/spire-agent.ts'
import { tamper } from './support/svids.ts'
import { makeUpstream } from './support/upstream.ts'

const path = '/ns/shop/web'
const stack = cleanupAfterAll()

/** A SPIRE, with a workload of it. */
interface Side {
  readonly spire: Spire
  readonly agent: SpireAgent
  readonly id: string
}

let es256: Side
let rs256: Side
let chained: Spire
/** What `evil.test` signs with: those who say that they are us, and `spire.test`. */
let impostor: Spire
let usurper: Spire
let gateway: Follower

beforeAll(async () => {
  await part('spire.sh')
  const folder = await makeFolder(stack)
  const oidc = 'https://oidc.rsa.test'
  ;[es256, rs256, chained, impostor, usurper] = await Promise.all([
    startSide({ trustDomain: 'spire.test' }),
    startSide({ trustDomain: 'rsa.test', jwtKeyType: 'rsa-2048', jwtIssuer: oidc }),
    makeUpstream(folder, 'chained.test').then((upstreamDisk) =>
      startSpire(stack, { trustDomain: 'chained.test', upstreamDisk }),
    ),
    startSpire(stack, { trustDomain: 'example.org' }),
    startSpire(stack, { trustDomain: 'spire.test' }),
  ])
  const good = await Promise.all([es256.spire, rs256.spire, chained].map(followed))
  const keys = await Promise.all([impostor, usurper].map(async (spire) => JSON.parse(await spire.bundleShow()).keys))
  const evil = { trustDomain: 'evil.test', firstBundle: JSON.stringify({ keys: keys.flat(), spiffe_sequence: 1 }) }
  gateway = await startFollower(stack, folder, [...good, evil])
}, buildDeadlineMs)

async function startSide(wishes: Parameters<typeof startSpire>[1]): Promise<Side> {
  const spire = await startSpire(stack, wishes)
  const agent = await startSpireAgent(stack, { server: spire })
  const id = `spiffe://${wishes.trustDomain}${path}`
  await spire.createEntry({ spiffeId: id, parentId: agent.nodeId })
  return { spire, agent, id }
}

type MakeProof = () => Promise<ShownProof>

const minted = async (spire: Spire, audience = gateway.origin): Promise<ShownProof> => ({
  bearer: await spire.mintJwt({ spiffeId: `spiffe://${spire.trustDomain}${path}`, audience, ttl: '5m' }),
})
const fetched = async ({ agent }: Side): Promise<ShownProof> => ({ bearer: await agent.fetchJwt(gateway.origin) })
const mintedX509 = async (spire: Spire): Promise<ShownProof> => {
  const { chainPem, keyPem } = await spire.mintX509({ spiffeId: `spiffe://${spire.trustDomain}${path}` })
  return { cert: chainPem, key: keyPem }
}
const fetchedX509 = async ({ agent }: Side): Promise<ShownProof> => {
  const [{ chainPem = '', keyPem = '' } = {}] = await agent.fetchX509()
  return { cert: chainPem, key: keyPem }
}

describe('a workload of a SPIRE gets SVIDs of ours', () => {
  test.each<[string, string, MakeProof]>([
    ['a JWT-SVID with ES256 of its server', 'spire.test', () => minted(es256.spire)],
    ['a JWT-SVID with ES256 of its agent', 'spire.test', () => fetched(es256)],
    ['a JWT-SVID with RS256 and `iss` of its server', 'rsa.test', () => minted(rs256.spire)],
    ['a JWT-SVID with RS256 and `iss` of its agent', 'rsa.test', () => fetched(rs256)],
    ['an X.509-SVID of its server', 'spire.test', () => mintedX509(es256.spire)],
    ['an X.509-SVID of its agent', 'rsa.test', () => fetchedX509(rs256)],
    ['an X.509-SVID of a SPIRE below another authority', 'chained.test', () => mintedX509(chained)],
    ['a JWT-SVID of a SPIRE below another authority', 'chained.test', () => minted(chained)],
  ])('for %s', async (_, trustDomain, makeProof) => {
    const proof = await makeProof()
    const spiffeId = `spiffe://example.org/spire${path}`

    const { status, json } = await askJwtSvid(gateway, proof)
    expect({ status, spiffeId: json.spiffe_id }).toEqual({ status: 200, spiffeId })
    expect(await readJwtSvid(gateway, json.token)).toBe(spiffeId)
    expect(await fetchX509Names(gateway, proof)).toBe(`URI:${spiffeId}`)
    expect((await gateway.ask('/v1/identities', proof)).json.items).toMatchObject([{ spiffe_id: spiffeId }])
    const [record] = (await gateway.recordsOf('jwt_svid')).slice(-1)
    expect(record).toMatchObject({
      decision: 'granted',
      authenticator: authenticatorOf(trustDomain),
      attributes: { spiffe_id: `spiffe://${trustDomain}${path}` },
      spiffe_id: spiffeId,
      rule: authenticatorOf(trustDomain),
    })
  })

  test('by an exchange of tokens', async () => {
    const { bearer = '' } = await fetched(es256)
    const { status, json } = await gateway.ask('/token', {
      form: {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: bearer,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        audience: api,
      },
    })
    expect(status).toBe(200)
    expect(await readJwtSvid(gateway, json.access_token)).toBe(`spiffe://example.org/spire${path}`)
  })
})

describe('a workload of a SPIRE asks by the command line', () => {
  const ask = (...args: readonly string[]) =>
    runOk(process.execPath, [commandLine, 'svid', ...args, '--server', gateway.origin, '--ca-file', gateway.bundleFile])
  const keep = async (name: string, content = '') => {
    const file = join(gateway.folder, name)
    await writeFile(file, content, { mode: 0o600 })
    return file
  }

  test('with a JWT-SVID', async () => {
    const { bearer } = await fetched(es256)
    const tokenFile = await keep('token', bearer)
    const token = await ask('jwt', '--audience', api, '--token-file', tokenFile)
    expect(await readJwtSvid(gateway, token.trim())).toBe(`spiffe://example.org/spire${path}`)
  })

  test('with an X.509-SVID', async () => {
    const { cert, key } = await fetchedX509(es256)
    const [certFile, keyFile] = [await keep('svid.0.pem', cert), await keep('svid.0.key', key)]
    const out = join(gateway.folder, 'id')
    await ask('x509', '--out', out, '--cert-file', certFile, '--key-file', keyFile)
    const { subjectAltName } = new X509Certificate(await readFile(join(out, 'svid.pem')))
    expect(subjectAltName).toBe(`URI:spiffe://example.org/spire${path}`)
  })
})

const narrowed = async (proof: Promise<ShownProof>): Promise<ShownProof> => ({
  ...(await proof),
  headers: { 'apostille-authenticator': 'evil-test' },
})
const tampered = async (proof: Promise<ShownProof>) => ({ bearer: tamper((await proof).bearer ?? '') })

describe('refused, with the reason on record', () => {
  test.each<[string, MakeProof, RegExp]>([
    ['a token for another audience', () => minted(es256.spire, api), /jwt_audience.*bundle of spire.test/],
    ['a changed token', () => tampered(minted(es256.spire)), /jws_signature/],
    ['a token of a domain that signs a name of ours', () => minted(impostor), /no such key$/],
    ['a certificate of a domain that signs a name of ours', () => mintedX509(impostor), /no path to a root$/],
    [
      'a token of a domain that signs a name of a third one',
      () => minted(usurper),
      /no such key.*bundle of spire.test/,
    ],
    [
      'a certificate of a domain that signs a name of a third one',
      () => mintedX509(usurper),
      /no path to a root.*bundle of spire.test/,
    ],
    [
      'such a token of ours, shown to the authenticator of its domain',
      () => narrowed(minted(impostor)),
      /no authenticator takes this/,
    ],
    [
      'such a token of a third one, shown to the authenticator of its domain',
      () => narrowed(minted(usurper)),
      /no authenticator takes this/,
    ],
    ['such a certificate of ours, shown to it', () => narrowed(mintedX509(impostor)), /no authenticator takes this/],
    [
      'such a certificate of a third one, shown to it',
      () => narrowed(mintedX509(usurper)),
      /no authenticator takes this/,
    ],
  ])('%s', async (_, makeProof, reason) => {
    const { status, json } = await askJwtSvid(gateway, await makeProof())
    expect({ status, code: json.code }).toEqual({ status: 401, code: 'proof_rejected' })
    const [record] = (await gateway.recordsOf('jwt_svid')).slice(-1)
    expect(record).toMatchObject({ decision: 'refused', code: 'proof_rejected', reason: expect.stringMatching(reason) })
  })
})
