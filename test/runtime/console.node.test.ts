import { afterAll, beforeAll, expect, test } from 'vitest'
import { pages } from '../../src/http/console/layout.ts'
import { startGateway, type TestGateway, testDocument } from '../support/gateway.ts'
import { send, type WireRequest } from '../support/wire.ts'

/** What should not show on a page as it is. */
const hostileTexts = { markup: '<b>&"', token: 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.c2VjcmV0LXRva2Vu' } as const

const console = { listen: 'unix:./admin.sock', console: '127.0.0.1:0' }
let gateway: TestGateway

beforeAll(async () => {
  const identities = testDocument['identities'] as readonly Record<string, unknown>[]
  gateway = await startGateway({
    document: {
      admin: console,
      identities: [
        ...identities,
        { name: 'odd', spiffe_id: '/odd', from: 'ci', when: `proof.subject == '${hostileTexts.markup}'` },
      ],
    },
  })
})
afterAll(() => gateway[Symbol.asyncDispose]())

function ask(path: string, wanted: WireRequest = {}) {
  const { console: address } = gateway.server.addresses
  if (address === undefined) throw new Error('there is no console')
  return send({ address }, path, { ...wanted, headers: { host: 'localhost', ...wanted.headers } })
}

const refuse = () => gateway.send('/v1/identities', { headers: { authorization: `Bearer ${hostileTexts.token}` } })

test.each(pages)(
  '$path is a page of its own, which needs no script and takes nothing from elsewhere',
  async ({ path, title }) => {
    const { status, headers, text } = await ask(path)

    expect(status).toBe(200)
    expect(headers['content-type']).toBe('text/html; charset=UTF-8')
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(headers['cache-control']).toBe('no-store')
    expect(text).toContain(`<h1>${title}</h1>`)
    expect(text).toContain(`<a href="${path}" aria-current="page">${title}</a>`)
    expect(text).not.toMatch(
      /<script|<style| style=| on[a-z]+=|https?:\/\/(?!id\.example|ci\.example|api\.example|db\.example)/i,
    )
  },
)

test.each([
  ['another name', 'attacker.example'],
  ['a name that begins as ours', 'localhost.attacker.example'],
  ['a name that ends as ours without a dot', 'evillocalhost'],
  ['an address that is none of loopback', '10.0.0.1:8445'],
  ['an address in another spelling', '2130706433'],
  ['what only looks like an address of loopback', '127.999.1.1'],
])('with %s as Host nothing is shown', async (_, host) => {
  const { status, text } = await ask('/', { headers: { host } })

  expect(status).toBe(421)
  expect(text).not.toContain('example.org')
})

test.each(['localhost', 'LOCALHOST:8445', '127.0.0.1:8445', '127.1.2.3', '[::1]:8445', 'console.localhost'])(
  'with %s as Host it answers',
  async (host) => {
    expect((await ask('/', { headers: { host } })).status).toBe(200)
  },
)

test.each(['POST', 'PUT', 'DELETE', 'PATCH'])('%s changes nothing, on no page', async (method) => {
  for (const path of ['/', '/records', '/v1/reload', '/v1/join-tokens'])
    expect((await ask(path, { method })).status).toBe(405)
})

test.each(['/v1/records', '/v1/authorities', '/v1/join-tokens', '/nothing', '/..%2f..%2fetc/passwd'])(
  'the admin API is not here: %s',
  async (path) => {
    expect((await ask(path)).status).toBe(404)
  },
)

test('what callers and operators wrote is text, never markup', async () => {
  await refuse()

  const records = await ask('/records?spiffe_id=%22%3E%3Cimg%20src%3Dx%3E')
  const identities = await ask('/identities')

  expect(records.text).toContain('value="&quot;&gt;&lt;img src=x&gt;"')
  expect(records.text).not.toContain('<img')
  expect(identities.text).toContain('&lt;b&gt;')
  expect(identities.text).not.toContain('<b>')
})

test('records are filtered by what the address says, newest first, and go on to older ones', async () => {
  for (let index = 0; index < 60; index++) await refuse()

  const first = await ask('/records?decision=refused')
  const next = /href="(\/records\?[^"]*)" rel="next"/.exec(first.text)?.[1]?.replaceAll('&amp;', '&')
  const second = await ask(next ?? '')
  const none = await ask('/records?operation=nothing')

  expect(first.text.match(/<tr>/g)).toHaveLength(51)
  expect(next).toContain('decision=refused')
  expect(second.status).toBe(200)
  expect(none.text).toContain('There is none of that kind.')
})

test('a position that is none of ours is told, and is no failure of ours', async () => {
  const { status, text } = await ask('/records?after=x')

  expect(status).toBe(400)
  expect(text).toContain('<h1>The request is malformed</h1>')
})

test('the overview says what is wrong with a document that is refused, and goes on', async () => {
  await gateway.reload({ admin: console, identities: 'none' })

  expect((await ask('/')).text).toContain('the document on disk is refused')
})

test('metrics are there as well', async () => {
  const { status, text } = await ask('/metrics')

  expect(status).toBe(200)
  expect(text).toContain('apostille_config_valid')
})

test('no secret is on any page', async () => {
  const { token } = await gateway.joinToken()
  await gateway.send('/v1/identities', { headers: { authorization: `Bearer ${token}` } })
  await refuse()

  const texts = await Promise.all(pages.map(async ({ path }) => (await ask(path)).text))

  for (const text of texts) {
    expect(text).not.toContain(token)
    expect(text).not.toContain(hostileTexts.token)
  }
})
