/** No token, key or secret is in a log, a record, an error, a metric or the store. */
import { createPrivateKey, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createLog } from '../../src/adapters/telemetry/log.ts'
import { makeWorkload } from '../support/csr.ts'
import { bearer, startGateway, type TestGateway } from '../support/gateway.ts'
import { signWithRsa } from '../support/oidc-issuer.ts'
import { openHttp2, sendRaw, type WireRequest } from '../support/wire.ts'

const api = 'https://api.example.org'
const form = { 'content-type': 'application/x-www-form-urlencoded' }

test('planted secrets are found nowhere', async () => {
  const written: string[] = []
  const log = createLog({ level: 'debug', format: 'json', write: (text) => void written.push(text) })
  const document = { listen: { address: '127.0.0.1:0' } }
  const gateway = await startGateway({ document, telemetry: { log: log.log } })
  const answers: string[] = []
  const secrets = new Map<string, string>()
  const plant = (name: string, secret: string) => {
    secrets.set(name, secret)
    return secret
  }

  const metrics = await provoke(gateway, plant, answers)
  plant('the seal key', readFileSync(join(gateway.folder, 'data/seal.key'), 'utf8').trim())
  const records = (await gateway.admin('/v1/records/export')).text
  await gateway.close()
  log.flush()

  const stored = readdirSync(join(gateway.folder, 'data'))
    .filter((name) => name.startsWith('apostille.db'))
    .map((name) => readFileSync(join(gateway.folder, 'data', name), 'latin1'))
  const places = { log: written.join(''), records, metrics, answers: answers.join('\n'), store: stored.join('') }
  for (const text of Object.values(places)) expect(text.length).toBeGreaterThan(200)
  expect(secrets.size).toBeGreaterThan(10)
  for (const [name, secret] of secrets)
    for (const [place, text] of Object.entries(places))
      for (const form of formsOf(secret)) expect([name, place, text.includes(form)]).toEqual([name, place, false])
  await gateway[Symbol.asyncDispose]()
})

/** As it is, and as bytes that stand for it. A token is found by its signature alone as well. */
function formsOf(secret: string): readonly string[] {
  const parts = secret.split('.').filter((part) => part.length >= 20)
  const raw = Buffer.from(secret, 'base64')
  const decoded = raw.length === 32 ? [raw.toString('latin1'), raw.toString('hex')] : []
  return [secret, ...(parts.length === 3 ? [parts[2] ?? '', parts[1] ?? ''] : []), ...decoded]
}

/** Shows the gateway each secret where it belongs and where it does not. */
async function provoke(
  gateway: TestGateway,
  plant: (name: string, secret: string) => string,
  answers: string[],
): Promise<string> {
  const { issuer } = gateway
  const json = (body: unknown) => ({ method: 'POST', body: JSON.stringify(body) })
  const refused = async (path: string, request: WireRequest) => {
    const answer = await gateway.send(path, request)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    answers.push(JSON.stringify(answer.headers), answer.text)
  }
  const issued = async (path: string, request: WireRequest) => {
    const answer = await gateway.send(path, request)
    expect(answer.status).toBe(200)
    return answer.json()
  }

  const good = plant('a good token', issuer.token())
  const jwt = await issued('/v1/svid/jwt', { ...json({ audience: [api] }), headers: bearer(good) })
  plant('a JWT-SVID', String(jwt.token))
  const { token } = await gateway.joinToken({ uses: 2 })
  plant('a join token', token)
  const workload = makeWorkload()
  const x509 = await issued('/v1/svid/x509', { ...json({ csr: workload.csr }), headers: bearer(token) })
  plant('the key of a workload', pkcs8(workload.privateKey))

  const wrong = [
    ['an expired token', issuer.token({ exp: 1, note: 'planted-claim' })],
    ['a token of a stranger', issuer.token({ iss: 'https://stranger.example' })],
    ['a token with a wrong signature', `${good.slice(0, -8)}AAAAAAAA`],
    ['a token by RSA', signWithRsa(issuer, { kid: 'unknown' })],
    ['a join token nobody made', `apo_join_${randomBytes(40).toString('hex').slice(0, 49)}`],
    ['a presigned request', `k8s-aws-v1.${randomBytes(60).toString('base64url')}`],
    ['a password', randomBytes(24).toString('base64url')],
  ] as const
  for (const [name, secret] of wrong) {
    plant(name, secret)
    await refused('/v1/svid/jwt', { ...json({ audience: [api] }), headers: bearer(secret) })
    await refused('/v1/svid/jwt', { ...json({ audience: [api], spiffe_id: secret }), headers: bearer(good) })
    await refused('/v1/svid/jwt', { ...json({ audience: [api], [secret]: secret }), headers: bearer(good) })
    await refused('/v1/svid/x509', { ...json({ csr: secret }), headers: bearer(good) })
    await refused('/v1/identities', { headers: { ...bearer(good), 'apostille-authenticator': secret } })
    await refused('/v1/identities', { headers: { authorization: `Basic ${secret}` } })
    await refused('/token', { method: 'POST', headers: form, body: exchange(secret) })
    await refused('/token', { method: 'POST', headers: form, body: `${exchange(good)}&actor_token=${secret}` })
    await refused('/v1/svid/jwt', { method: 'POST', headers: bearer(good), body: `{"audience": ${secret}` })
    await refused('/nowhere', { headers: { cookie: secret, ...bearer(secret) } })
    answers.push(await sendRaw(gateway.target, `GET / HTTP/1.1\r\nHost: ${secret} x\r\nConnection: close\r\n\r\n`))
  }
  const client = await openHttp2({
    ...gateway.target,
    tls: { ...gateway.target.tls, cert: String(x509.certificates), key: workload.privateKey },
  })
  expect((await client.send('/v1/identities')).status).toBe(200)
  await client.close()
  return (await gateway.admin('/metrics')).text
}

const pkcs8 = (pem: string) => createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' }).toString('base64')

function exchange(token: string): string {
  return new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: api,
  }).toString()
}
