import { expect, test } from 'vitest'
import published from '../../schema/apostille.schema.json' with { type: 'json' }
import { configurationKeysAt, configurationSchema } from '../../src/core/config-schema.ts'

test('the published JSON Schema has every key, and asks for those without a default', () => {
  expect(Object.keys(published.properties)).toEqual(Object.keys(configurationSchema.shape))
  expect(published.required).toEqual(['trust_domain', 'issuer', 'listen', 'store', 'seal'])
  expect(published.additionalProperties).toBe(false)
})

test('durations have their form in it', () => {
  expect(JSON.stringify(published)).toContain('^[1-9]\\\\d{0,8}[smhd]$')
})

test.each([
  [['seal'], {}, ['file', 'also', 'env']],
  [['authorities', 'x509'], {}, ['algorithm', 'ttl', 'upstream']],
  [['authenticators', 'a'], { authenticators: { a: { type: 'spiffe' } } }, ['type', 'trust_domain']],
  [['authenticators', 'a'], { authenticators: { a: { type: 'ldap' } } }, []],
  [['identities', 0, 'claims'], {}, []],
  [['nothing'], {}, []],
])('the keys at %j', (path, content, keys) => {
  expect(configurationKeysAt(path, content)).toEqual(keys)
})
