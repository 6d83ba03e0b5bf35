import { parseEnv } from 'node:util'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dotenvLine } from '../../src/core/dotenv.ts'
import type { SecretContent } from '../../src/core/secret-source.ts'
import { FormError, formSecret } from '../../src/core/sync-form.ts'

const fields = (value: Readonly<Record<string, unknown>>): SecretContent => ({ kind: 'fields', fields: value })
const raw = (bytes: Uint8Array): SecretContent => ({ kind: 'raw', bytes })
const path = { granularity: 'path' as const, format: undefined, field: undefined }

test.each([
  ['JSON, by key', fields({ b: 1, a: { d: 2, c: [3] } }), path, [{ value: '{"a":{"c":[3],"d":2},"b":1}' }]],
  ['one field as it is', fields({ a: 'x', b: 'y' }), { ...path, format: 'raw', field: 'b' }, [{ value: 'y' }]],
  ['the only field as it is', fields({ a: 5 }), { ...path, format: 'raw' }, [{ value: '5' }]],
  ['dotenv', fields({ B: 'x y', A: 1 }), { ...path, format: 'dotenv' }, [{ value: "A=1\nB='x y'\n" }]],
  [
    'one for each key',
    fields({ b: 'y', a: { c: null } }),
    { ...path, granularity: 'key' },
    [
      { key: 'a', value: '{"c":null}' },
      { key: 'b', value: 'y' },
    ],
  ],
  ['text of a file', raw(new TextEncoder().encode('\ufeffü')), path, [{ value: '\ufeffü' }]],
  ['bytes of a file', raw(new Uint8Array([0xff])), path, [{ value: new Uint8Array([0xff]) }]],
  ['a key called __proto__', fields(JSON.parse('{"__proto__":{"x":1}}')), path, [{ value: '{"__proto__":{"x":1}}' }]],
] as const)('a secret comes to %s', (_, content, form, expected) => {
  expect(formSecret(content, form)).toEqual(expected)
})

test.each([
  ['a file by key', raw(new Uint8Array()), { ...path, granularity: 'key' as const }],
  ['a file as JSON', raw(new Uint8Array()), { ...path, format: 'json' as const }],
  ['a field that is not there', fields({ a: 1 }), { ...path, format: 'raw' as const, field: 'toString' }],
  ['one of several without saying which', fields({ a: 1, b: 2 }), { ...path, format: 'raw' as const }],
  ['none at all', fields({}), { ...path, format: 'raw' as const }],
  ['a key that is no variable', fields({ 'a-b': 'hunter2' }), { ...path, format: 'dotenv' as const }],
])('%s is refused, without its value', (_, content, form) => {
  const refused = () => formSecret(content, form)
  expect(refused).toThrow(FormError)
  expect(refused).not.toThrow('hunter2')
})

describe('a dotenv line', () => {
  test('is read back by Node as it was written, or is none', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab1 =#\'"\\$`\n\t{}ü,') }), (value) => {
        const line = dotenvLine('KEY', value)
        if (line !== undefined) expect(parseEnv(`${line}\n`)).toEqual({ KEY: value })
      }),
    )
  })

  test.each(['it\'s "both"', "it's $HOME", "it's\nlong", 'a\rb', 'a\0b'])('is none for %j', (value) => {
    expect(dotenvLine('KEY', value)).toBeUndefined()
  })
})
