import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { createTestAuthority } from '../support/tls.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { freePorts, poll, start } from './support/command.ts'
import { api, askJwtSvid, type Follower, followed, startFollower } from './support/federation.ts'
import { ask } from './support/https.ts'
import { buildDeadlineMs, part } from './support/parts.ts'
import { type Spire, startSpire } from './support/spire.ts'

const web = 'spiffe://spire.test/web'
const stack = cleanupAfterAll()
let spire: Spire
/** Of SPIRE, whose discovery provider it is. */
let issuer: string
let ca: string
let gateway: Follower

beforeAll(async () => {
  const program = join(await part('spire.sh'), 'oidc-discovery-provider')
  const folder = await makeFolder(stack)
  const [port = 0] = await freePorts(1)
  issuer = `https://localhost:${port}`
  spire = await startSpire(stack, { trustDomain: 'spire.test', jwtIssuer: issuer })
  const authority = await createTestAuthority()
  ca = authority.ca
  const config = await writeConfig(folder, port, await authority.issue())
  const provider = start(stack, program, ['-config', config])
  await poll('the discovery provider has keys', 30_000, async () => {
    provider.alive()
    const { status } = await ask(`${issuer}/keys`, { ca }).catch(() => ({ status: 0 }))
    return status === 200 || undefined
  })
  gateway = await startFollower(stack, folder, [await followed(spire)])
}, buildDeadlineMs)

async function writeConfig(folder: string, port: number, { cert, key }: { cert: string; key: string }) {
  const at = (name: string) => join(folder, name)
  await Promise.all([writeFile(at('oidc.pem'), cert), writeFile(at('oidc.key'), key, { mode: 0o600 })])
  await writeFile(
    at('oidc.conf'),
    `domains = ["localhost"]
jwt_issuer = ${JSON.stringify(issuer)}
jwks_uri = ${JSON.stringify(`${issuer}/keys`)}
set_key_use = true
serving_cert_file {
  cert_file_path = ${JSON.stringify(at('oidc.pem'))}
  key_file_path = ${JSON.stringify(at('oidc.key'))}
  addr = "127.0.0.1:${port}"
}
server_api {
  address = ${JSON.stringify(`unix://${spire.socketPath}`)}
  poll_interval = "1s"
}
`,
  )
  return at('oidc.conf')
}

/** A verifier that is told an issuer, and finds all else by discovery. */
async function verifyByDiscovery(token: string, from: string, caPem: string): Promise<string | undefined> {
  const fetchJson = async (url: string) => (await ask(url, { ca: caPem })).json
  const { issuer: named, jwks_uri: jwksUri } = await fetchJson(`${from}/.well-known/openid-configuration`)
  const keys = createRemoteJWKSet(new URL(jwksUri), {
    [customFetch]: async (url) => Response.json(await fetchJson(String(url))),
  })
  const { payload } = await jwtVerify(token, keys, { issuer: named, audience: api })
  expect(named).toBe(from)
  return payload.sub
}

test('one verifier takes tokens of SPIRE and of ours by the discovery of each', async () => {
  const theirs = await spire.mintJwt({ spiffeId: web, audience: api })
  expect(await verifyByDiscovery(theirs, issuer, ca)).toBe(web)

  const proof = { bearer: await spire.mintJwt({ spiffeId: web, audience: gateway.origin }) }
  const ours = (await askJwtSvid(gateway, proof)).json.token
  expect(await verifyByDiscovery(ours, gateway.origin, gateway.bundle)).toBe('spiffe://example.org/spire/web')

  await expect(verifyByDiscovery(theirs, gateway.origin, gateway.bundle)).rejects.toThrow()
  await expect(verifyByDiscovery(ours, issuer, ca)).rejects.toThrow()
})
