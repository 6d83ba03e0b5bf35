import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isJsonObject, parseStrictJson, parseStrictJsonBytes } from '../../src/protocol/json.ts'

const refusal = expect.objectContaining({ code: 'json' })

test.each([
  ['null', null],
  ['0', 0],
  [' {"a" : [1, 2, {"b": ":,{}[]"}]} ', { a: [1, 2, { b: ':,{}[]' }] }],
  ['{"a":{"a":1},"b":{"a":1}}', { a: { a: 1 }, b: { a: 1 } }],
  ['{"\\"":1,"\\\\":2,"\\\\\\"":3}', { '"': 1, '\\': 2, '\\"': 3 }],
  ['{"":1}', { '': 1 }],
  ['{"constructor":1,"toString":2}', { constructor: 1, toString: 2 }],
  ['"\\ud83d\\ude00"', '😀'],
  ['[[],{}]', [[], {}]],
])('reads %s', (text, value) => {
  expect(parseStrictJson(text)).toEqual(value)
  expect(parseStrictJsonBytes(Buffer.from(text))).toEqual(value)
})

test.each([
  ['a repeated member', '{"a":1,"a":2}'],
  ['a repeated member, once escaped', '{"a":1,"\\u0061":2}'],
  ['a repeated member with a quote', '{"\\"":1,"\\u0022":2}'],
  ['a repeated member inside', '[{"b":{"a":1,"c":{},"a":1}}]'],
  ['a repeated empty member', '{"":1,"":2}'],
  ['a repeated numeric member', '{"1":1,"1":2}'],
  ['a repetition hidden by a colon in a string', '{"a":":","a":2}'],
  ['__proto__', '{"__proto__":{"admin":true}}'],
  ['__proto__, escaped', '{"\\u005f_proto__":1}'],
  ['__proto__ inside', '{"a":[{"__proto__":null}]}'],
  ['nothing', ''],
  ['white space', ' '],
  ['a trailing comma', '{"a":1,}'],
  ['two values', '1 2'],
  ['an unclosed string', '{"a":"'],
  ['an unclosed escape', '"\\'],
  ['a lone brace', '}'],
  ['single quotes', "{'a':1}"],
  ['a comment', '{"a":1/*:*/}'],
  ['NaN', '{"a":NaN}'],
  ['a number beyond a double', '{"a":1e999}'],
  ['a raw control character', '"\u0001"'],
  ['half a surrogate pair', '{"a":"\\ud800"}'],
  ['half a surrogate pair in a name', '{"\\udc00":1}'],
])('refuses %s', (_, text) => {
  expect(() => parseStrictJson(text)).toThrow(refusal)
})

test.each([
  ['a byte order mark', [0xef, 0xbb, 0xbf, 0x31]],
  ['an overlong form', [0x22, 0xc0, 0xaf, 0x22]],
  ['a cut-off character', [0x22, 0xe2, 0x82, 0x22]],
  ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
  ['UTF-16', [0x31, 0x00]],
])('refuses %s', (_, bytes) => {
  expect(() => parseStrictJsonBytes(Uint8Array.from(bytes))).toThrow(refusal)
})

test('takes 32 levels and no more, unless told', () => {
  expect(parseStrictJson('['.repeat(32) + ']'.repeat(32))).toHaveLength(1)
  expect(() => parseStrictJson('['.repeat(33) + ']'.repeat(33))).toThrow(refusal)
  expect(parseStrictJson('[[]]', { maxDepth: 2 })).toEqual([[]])
  expect(() => parseStrictJson('[{"a":[]}]', { maxDepth: 2 })).toThrow(refusal)
  expect(parseStrictJson('[[],[],[]]', { maxDepth: 2 })).toHaveLength(3)
})

test.each([
  ['arrays', '['.repeat(10_000) + ']'.repeat(10_000)],
  ['unclosed arrays', '['.repeat(10_000)],
  ['objects', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`],
])('refuses 10,000 levels of %s without exhausting the stack', (_, text) => {
  expect(() => parseStrictJson(text)).toThrow(refusal)
})

test('the message does not repeat the text', () => {
  const caught = caughtFrom(() => parseStrictJson('{"token":"hunter2"'))
  expect(caught).toEqual(refusal)
  expect(`${caught} ${String((caught as Error).cause)} ${(caught as Error).stack}`).not.toContain('hunter2')
})

test('reads what JSON.stringify writes, unchanged', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value)
      if (text.includes('__proto__') || /\\ud[89a-f]/i.test(text)) return
      expect(JSON.stringify(parseStrictJson(text))).toBe(text)
    }),
  )
})

test('refuses any member that is written twice, wherever it stands', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.string(), { minKeys: 1 }), fc.nat(), (object, pick) => {
      const members = Object.entries(object).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
      const twice = members[pick % members.length] ?? ''
      expect(() => parseStrictJson(`[{${[...members, twice].join(',')}}]`)).toThrow(refusal)
    }),
  )
})

test.each([
  [{}, true],
  [{ a: 1 }, true],
  [[], false],
  [null, false],
  ['a', false],
  [undefined, false],
])('%j is an object: %s', (value, expected) => {
  expect(isJsonObject(value)).toBe(expected)
})

function caughtFrom(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}
