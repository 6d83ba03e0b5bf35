import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeWorkload } from '../../support/csr.ts'
import { createAdminCheck } from '../../support/described-answers.ts'
import { type Document, startGateway, type TestGateway } from '../../support/gateway.ts'

let gateway: TestGateway
const { csr } = makeWorkload()

beforeAll(async () => {
  gateway = await startGateway({ checkAdmin: createAdminCheck() })
})
afterAll(() => gateway?.[Symbol.asyncDispose]())

const sign = (body: Document) => gateway.admin('/v1/authorities/sign-intermediate', 'POST', body)
const lastRecord = async () => (await gateway.records('order=newest&limit=1'))[0]

test('an intermediate is signed by the active authority, and is on record', async () => {
  const answer = await sign({ csr, ttl_seconds: 3600, path_length: 1 })
  const { certificates, expires_at, signed_by } = answer.json() as Record<string, string>
  expect(answer.status).toBe(200)
  const [made, ...others] = (certificates ?? '').split(/(?<=-----END CERTIFICATE-----\n)/)
  const certificate = new X509Certificate(made ?? '')
  expect(others).toEqual([])
  expect(certificate.ca).toBe(true)
  expect(certificate.subjectAltName).toBe('URI:spiffe://example.org')
  expect(new Date(certificate.validTo).getTime()).toBe(Math.floor(new Date(expires_at ?? '').getTime() / 1000) * 1000)
  const { items } = (await gateway.admin('/v1/authorities')).json() as { readonly items: readonly Document[] }
  expect(items).toContainEqual(expect.objectContaining({ id: signed_by, ring: 'x509', state: 'active' }))
  expect(await lastRecord()).toMatchObject({
    operation: 'authority.sign_intermediate',
    decision: 'granted',
    request_id: answer.headers['x-request-id'],
    details: { signed_by, serial_number: certificate.serialNumber.toLowerCase(), path_length: 1, expires_at },
  })
})

test('none may stand below it unless that is asked for', async () => {
  await sign({ csr, ttl_seconds: 60 })
  expect(await lastRecord()).toMatchObject({ details: { path_length: 0 } })
})

test('one that would outlive the authority is refused with what is left', async () => {
  const answer = await sign({ csr, ttl_seconds: 8 * 86_400 })
  expect([answer.status, answer.json().code]).toEqual([409, 'conflict'])
  expect(answer.json().detail).toMatch(/^ttl: the signing authority ends at \S+Z, so at most \d+s; /)
})

test.each<[string, Document, RegExp]>([
  ['no CSR', { ttl_seconds: 3600 }, /^csr: /],
  ['a CSR that is none', { csr: 'none', ttl_seconds: 3600 }, /^csr: /],
  ['a CSR that is too long', { csr: 'A'.repeat(32_769), ttl_seconds: 3600 }, /^csr: /],
  ['no lifetime', { csr }, /^ttl_seconds: /],
  ['less than a minute', { csr, ttl_seconds: 59 }, /^ttl_seconds: /],
  ['a fraction of a second', { csr, ttl_seconds: 60.5 }, /^ttl_seconds: /],
  ['a negative path length', { csr, ttl_seconds: 3600, path_length: -1 }, /^path_length: /],
  ['a path length beyond any chain', { csr, ttl_seconds: 3600, path_length: 8 }, /^path_length: /],
  ['an unknown field', { csr, ttl_seconds: 3600, trust_domain: 'other.example' }, /unknown field/],
])('%s is refused', async (_, body, detail) => {
  const answer = await sign(body)
  expect([answer.status, answer.json().code]).toEqual([400, 'malformed_request'])
  expect(answer.json().detail).toMatch(detail)
})
