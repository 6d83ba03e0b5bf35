/** What is not the caller's fault, and passes: it is told to come back, and the record says what is missing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askJwt, startGateway, type TestGateway } from '../support/gateway.ts'
import type { WireAnswer } from '../support/wire.ts'

let gateway: TestGateway
beforeEach(async () => {
  gateway = await startGateway({ document: { authorities: { jwt: { algorithms: ['ES256'], rs256_audiences: [] } } } })
})
afterEach(() => gateway[Symbol.asyncDispose]())

const exchange = () => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: gateway.issuer.token(),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'https://api.example.org',
  }).toString(),
})

async function askBoth() {
  const answers = [await askJwt(gateway, gateway.issuer.token()), await gateway.send('/token', exchange())]
  const records = await gateway.records('order=oldest&limit=1000')
  return answers.map(({ status, headers, json }) => ({
    status,
    says: json().code ?? json().error,
    retry: Number(headers['retry-after']) > 0,
    code: records.find(({ request_id }) => request_id === headers['x-request-id'])?.code,
  }))
}

test('keys of an issuer that can not be had', async () => {
  rmSync(join(gateway.folder, 'ci.jwks.json'))
  expect(await askBoth()).toEqual([
    { status: 502, says: 'upstream_failed', retry: true, code: 'upstream_failed' },
    { status: 503, says: 'temporarily_unavailable', retry: true, code: 'upstream_failed' },
  ])
  expect((await gateway.send('/readyz')).status).toBe(200)
})

test('an algorithm that was added a moment ago, whose key verifiers do not know yet', async () => {
  const jwt = { algorithms: ['ES256', 'RS256'], rs256_audiences: ['https://api.example.org'] }
  expect((await gateway.reload({ authorities: { jwt } })).status).toBe(200)
  expect(await askBoth()).toEqual([
    { status: 503, says: 'no_authority', retry: true, code: 'no_authority' },
    { status: 503, says: 'temporarily_unavailable', retry: true, code: 'no_authority' },
  ])
  const { keys } = (await gateway.send('/keys')).json() as { readonly keys: readonly { readonly alg: string }[] }
  expect(keys.map(({ alg }) => alg)).toContain('RS256')
})

test('records that can not be kept: no record, no credential', async () => {
  const stopped = gateway.close()
  await stopped
  const { gateway: core } = gateway.server
  const call = { requestId: 'late', address: '', proof: { kind: 'bearer' as const, token: gateway.issuer.token() } }
  const request = { kind: 'jwt' as const, audience: ['https://api.example.org'] }
  await expect(core.issueSvid(call, request)).rejects.toMatchObject({ code: 'store_unavailable' })
  await expect(core.ready()).rejects.toThrow()
})

const script = join(import.meta.dirname, '../support/serve.ts')

test('a disk that fills up while it runs: 503 to whoever asks, and nothing that was issued is without its record', {
  timeout: 60_000,
}, async () => {
  await gateway.close()
  // A limit on the size of files ends a write as a full disk does; in blocks of 512 or 1,024 bytes.
  const command = 'ulimit -f 1000 && exec "$0" "$@"'
  const given = ['-c', command, process.execPath, script, join(gateway.folder, 'apostille.yaml')]
  const child = spawn('/bin/sh', given, { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await once(child.stdout, 'data')
    const tokens: unknown[] = []
    let refused: WireAnswer | undefined
    while (refused === undefined && tokens.length < 10_000) {
      const answer = await askJwt(gateway, gateway.issuer.token())
      if (answer.status === 200) tokens.push(answer.json().token)
      else refused = answer
    }
    expect(refused?.headers).toMatchObject({ 'content-type': 'application/problem+json', 'retry-after': '1' })
    expect(refused?.json()).toMatchObject({ status: 503, code: 'store_unavailable' })
    const exchanged = await gateway.send('/token', exchange())
    expect([exchanged.status, exchanged.json().error]).toEqual([503, 'temporarily_unavailable'])
    expect(exchanged.json()).not.toHaveProperty('access_token')
    expect((await gateway.send('/livez')).status).toBe(200)

    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    gateway = await gateway.restart()
    const exported = (await gateway.admin('/v1/records/export')).text
    expect(tokens.length).toBeGreaterThan(50)
    expect(tokens.filter((token) => !exported.includes(jtiOf(String(token))))).toEqual([])
    expect((await gateway.admin('/v1/records/verify', 'POST')).json().ok).toBe(true)
  } finally {
    child.kill('SIGKILL')
  }
})

function jtiOf(token: string): string {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
  return (JSON.parse(payload) as { readonly jti: string }).jti
}
