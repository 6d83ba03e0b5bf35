/** What is not the caller's fault, and passes: it is told to come back, and the record says what is missing. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askJwt, startGateway, type TestGateway } from '../support/gateway.ts'

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
