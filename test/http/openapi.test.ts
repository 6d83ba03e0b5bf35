import { createConfig, lintFromString } from '@redocly/openapi-core'
import type { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import publicDocument from '../../schema/openapi.json' with { type: 'json' }
import adminDocument from '../../schema/openapi-admin.json' with { type: 'json' }
import { refusals } from '../../src/core/refusal.ts'
import { createAdminApp } from '../../src/http/admin-app.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { createTestApp } from '../support/http-subject.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway[Symbol.asyncDispose]())

const documents = { public: publicDocument, admin: adminDocument } as const
type Name = keyof typeof documents
const names = Object.keys(documents) as Name[]

/** As Hono has them, without what refuses other methods. */
function routesOf(app: Pick<Hono, 'routes'>): readonly string[] {
  const routes = app.routes
    .filter(({ method, path }) => method !== 'ALL' && path !== '/*')
    // OpenAPI 3.1 knows no such method.
    .filter(({ method }) => method !== 'LIST')
    .map(({ method, path }) => `${method} ${path.replace(/\/\*$/, '/{path}').replaceAll(/:(\w+)/g, '{$1}')}`)
  return [...new Set(routes)].sort()
}

function described(name: Name): readonly string[] {
  return Object.entries(documents[name].paths)
    .flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`))
    .sort()
}

test('every route of the public API is described, and nothing else is', () => {
  expect(described('public')).toEqual(routesOf(createTestApp(gateway) as unknown as Hono))
})

test('every route of the admin API is described, and nothing else is', () => {
  const app = createAdminApp({ operator: {}, gateway: {} } as unknown as Parameters<typeof createAdminApp>[0])
  expect(described('admin')).toEqual(routesOf(app as unknown as Hono))
})

describe.each(names)('the document of the %s API', (name) => {
  const text = JSON.stringify(documents[name])

  test('is valid OpenAPI 3.1, and Redocly finds nothing to say against it', async () => {
    const config = await createConfig({
      extends: ['recommended-strict'],
      // Servers are wherever the gateway is; documents that everybody may read refuse nobody.
      rules: { 'operation-4xx-response': 'off', 'no-server-example.com': 'off' },
    })
    const problems = await lintFromString({ source: text, absoluteRef: '/openapi.json', config })
    expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([])
  })

  test('has a name of its own for each operation', () => {
    const ids = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBe(described(name).length)
  })

  test('has an answer for every code that the gateway can say, but for those of other paths and methods', () => {
    const answered = Object.keys(documents[name].components.responses).flatMap((codes) => codes.split('.'))
    const missing = Object.keys(refusals).filter((code) => !answered.includes(code))
    expect(missing).toEqual(
      name === 'public' ? ['method_not_allowed'] : ['proof_rejected', 'method_not_allowed', 'too_many'],
    )
  })
})

test('it is served to everybody, and can be cached', async () => {
  const answer = await gateway.send('/openapi.json')
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json'])
  expect(answer.json()).toEqual(publicDocument)
  const { etag = '' } = answer.headers
  expect((await gateway.send('/openapi.json', { headers: { 'if-none-match': etag } })).status).toBe(304)
  expect((await gateway.admin('/openapi.json')).json()).toEqual(adminDocument)
})
