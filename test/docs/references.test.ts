/** The references of the guide have what the sources have. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { refusals } from '../../src/core/refusal.ts'
import { documentPaths } from '../../src/http/routes/discovery.ts'
import { svidRoutes } from '../../src/http/routes/svid.ts'

const root = join(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

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
