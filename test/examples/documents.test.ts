/** The configurations and the reference of the guide hold. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { parseConfiguration } from '../../src/core/config.ts'
import { refusals } from '../../src/core/refusal.ts'
import { documentPaths } from '../../src/http/routes/discovery.ts'
import { svidRoutes } from '../../src/http/routes/svid.ts'

const root = join(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const pages = ['README.md', ...globSync('docs/*.md', { cwd: root }), ...globSync('examples/**/*.md', { cwd: root })]

function samplesOf(what: RegExp) {
  return pages.flatMap((page) =>
    [...read(page).matchAll(/```yaml\n(.*?)```/gs)]
      .map(([, text]) => text ?? '')
      .filter((text) => what.test(text))
      .map((text, index) => [page, index + 1, text] as const),
  )
}

const documents = samplesOf(/^trust_domain:/m)
/** They begin with a part of the document that the least one below has not, or replaces. */
const parts = samplesOf(/^(?:authenticators|targets|policies):/)

const least = {
  trust_domain: 'example.org',
  issuer: 'https://id.example.org',
  listen: { address: '127.0.0.1:8443' },
  store: 'sqlite:./a.db',
  seal: { file: './seal.key' },
  authenticators: { first: { type: 'join_token' } },
  identities: [{ from: 'first', spiffe_id: '/vm/${proof.name}' }],
}

test('there are configurations to read', () => {
  expect(documents.map(([page]) => page)).toEqual(expect.arrayContaining(['README.md', 'docs/configuration.md']))
})

test.each(documents)('%s: configuration %i is one as it stands', (_page, _index, text) => {
  expect(parseConfiguration(text).warnings).toEqual([])
})

test('there are parts of configurations to read', () => {
  const wanted = ['README.md', 'docs/cloud-credentials.md', 'docs/configuration.md', 'docs/secret-sync.md']
  expect(parts.map(([page]) => page)).toEqual(expect.arrayContaining(wanted))
})

test.each(parts)('%s: part %i of a configuration holds', (_page, _index, text) => {
  const document = { ...least, ...parseYaml(text) }
  expect(parseConfiguration(JSON.stringify(document)).warnings).toEqual([])
})

describe('docs/configuration.md', () => {
  type Schema = { readonly [name: string]: Schema | undefined } & {
    readonly properties?: Readonly<Record<string, Schema>>
  }

  function keysOf(schema: unknown): readonly string[] {
    if (typeof schema !== 'object' || schema === null) return []
    if (Array.isArray(schema)) return schema.flatMap(keysOf)
    const { properties = {}, ...rest } = schema as Schema
    return [
      ...Object.keys(properties),
      ...Object.values(properties).flatMap(keysOf),
      ...Object.values(rest).flatMap(keysOf),
    ]
  }

  const keys = [...new Set(keysOf(JSON.parse(read('schema/apostille.schema.json'))))]
  const [reference = ''] = read('docs/configuration.md').split('## All of it')
  const code = reference.replaceAll(/```.*?```/gs, '').matchAll(/`([^`]+)`/g)
  const words = new Set([...code].flatMap(([, text = '']) => text.split(/\W+/)))

  test('there are keys to look for', () => {
    expect(keys).toContain('renewable_for')
  })

  test.each(keys)('explains %s', (key) => {
    expect(words.has(key)).toBe(true)
  })
})

describe('docs/http-api.md', () => {
  const page = read('docs/http-api.md')

  test.each([...Object.keys(documentPaths), ...Object.keys(svidRoutes({} as never))])('has %s', (path) => {
    expect(page).toContain(` ${path}\``)
  })

  test.each(Object.entries(refusals))('has the code %s with its status', (code, { status }) => {
    expect(page).toMatch(new RegExp(`^\\|[^|]*\\b${status}\\b[^|]*\\|[^|]*\`${code}\``, 'm'))
  })

  test('its JSON is JSON', () => {
    const samples = [...page.matchAll(/```json\n(.*?)```/gs)].map(([, text]) => text ?? '')
    expect(samples.length).toBeGreaterThan(3)
    for (const sample of samples) expect(() => JSON.parse(sample)).not.toThrow()
  })
})

test('docs/secret-sync.md has the policy of AWS that the example runs with', () => {
  const [, policy = ''] = /```json\n(.*?)```/s.exec(read('docs/secret-sync.md')) ?? []
  expect(JSON.parse(policy)).toEqual(JSON.parse(read('examples/05-secret-sync/aws-policy.json')))
})

test.each(pages)('%s: links within the project lead somewhere', (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link]) => link ?? '')
  for (const link of links) expect([link, globSync(join(root, page, '..', link)).length]).toEqual([link, 1])
})
