import { afterAll, beforeAll, expect, test } from 'vitest'
import { roleArn } from '../../support/clouds-world.ts'
import { createAdminCheck } from '../../support/described-answers.ts'
import { type Document, startGateway, type TestGateway } from '../../support/gateway.ts'

const aws = { type: 'aws', role_arn: roleArn, region: 'eu-west-1', endpoint: 'https://localhost:1' }

let gateway: TestGateway
beforeAll(async () => {
  const targets = {
    acting: { ...aws, acts_as: '/cloud/payments' },
    caller: aws,
    claiming: { ...aws, tags: { team: '${identity.claims.team}' } },
  }
  gateway = await startGateway({ document: { targets, policies: [] }, checkAdmin: createAdminCheck() })
})
afterAll(() => gateway[Symbol.asyncDispose]())

const tryTarget = (name: string, body?: Document) => gateway.admin(`/v1/targets/${name}/try`, 'POST', body)
const lastRecords = async (count: number) => gateway.records(`order=newest&limit=${count}`)

test("the cloud's no is the answer, and both the token and the no are on record", async () => {
  const answer = await tryTarget('acting')
  expect(answer.status).toBe(200)
  expect(answer.json()).toMatchObject({
    ok: false,
    target: 'acting',
    type: 'aws',
    spiffe_id: 'spiffe://example.org/cloud/payments',
    audience: 'sts.amazonaws.com',
    algorithm: 'ES256',
    error: { kind: 'unreachable', code: 'network', message: expect.any(String) },
  })
  const { kid, jti } = answer.json()
  expect(await lastRecords(2)).toMatchObject([
    { operation: 'exchange.try', decision: 'refused', code: 'upstream_failed', target: 'acting' },
    { operation: 'exchange_token', decision: 'granted', issued: { kid, jti, audience: ['sts.amazonaws.com'] } },
  ])
})

test('the caller of a target that acts as its caller is said', async () => {
  const answer = await tryTarget('caller', { spiffe_id: 'spiffe://example.org/ns/web' })
  expect(answer.json()).toMatchObject({ spiffe_id: 'spiffe://example.org/ns/web', ok: false })
})

test('a caller of another trust domain may be named where the target says whom it acts as', async () => {
  const answer = await tryTarget('acting', { spiffe_id: 'spiffe://else.example/web' })
  expect(answer.json()).toMatchObject({ spiffe_id: 'spiffe://example.org/cloud/payments' })
})

test.each<[string, string, Document | undefined, number, string]>([
  ['a target that is not there', 'none', undefined, 404, 'not_found'],
  ['nobody for a target that acts as its caller', 'caller', undefined, 400, 'malformed_request'],
  ['a caller of another trust domain', 'caller', { spiffe_id: 'spiffe://else.example/a' }, 400, 'malformed_request'],
  ['a reserved caller', 'caller', { spiffe_id: 'spiffe://example.org/apostille/server' }, 400, 'malformed_request'],
  ['a caller that is no SPIFFE ID', 'caller', { spiffe_id: 'web' }, 400, 'malformed_request'],
  ['an unknown field', 'acting', { force: true }, 400, 'malformed_request'],
  ['claims that nobody knows', 'claiming', { spiffe_id: 'spiffe://example.org/a' }, 400, 'malformed_request'],
])('%s is refused, and that is on record', async (_, target, body, status, code) => {
  const answer = await tryTarget(target, body)
  expect([answer.status, answer.json().code]).toEqual([status, code])
  expect(answer.json().detail).toEqual(expect.any(String))
  expect(await lastRecords(1)).toMatchObject([
    { operation: 'exchange.try', decision: 'refused', code, request_id: answer.json().request_id },
  ])
})
