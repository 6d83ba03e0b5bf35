import { expect, test } from 'vitest'
import { conditionsOf, createConditionIndex, readPath } from '../../src/core/condition-index.ts'
import { proofAttributes } from '../../src/core/config-authenticators.ts'
import { compileExpression, ruleEnvironment } from '../../src/core/expression.ts'

const environment = ruleEnvironment(proofAttributes.oidc)
const read = (text: string) => conditionsOf(compileExpression(text, environment, 'bool').tree, 'proof')
const index = (...texts: string[]) => createConditionIndex(texts.map((value) => ({ keys: read(value).keys, value })))

test.each([
  ["proof.subject == 'a'", [{ path: ['proof', 'subject'], values: new Set(['a']) }]],
  [
    "proof.subject in ['a', 'b'] && proof.subject in ['b', 'c']",
    [{ path: ['proof', 'subject'], values: new Set(['b']) }],
  ],
  ["proof.subject.startsWith('ab')", [{ path: ['proof', 'subject'], length: 2, values: new Set(['ab']) }]],
  ["proof.claims['x/y'] == 'z'", [{ path: ['proof', 'claims', 'x/y'], values: new Set(['z']) }]],
  ["proof.subject == 'a' || proof.issuer == 'i'", []],
  ["proof.subject != 'a'", []],
  ["!(proof.subject == 'a')", []],
  ["request.address == '::1'", []],
])('keys of %s', (text, keys) => {
  expect(read(text).keys).toEqual(keys)
})

test('a condition asks for the presence of what its conjunction has', () => {
  expect(read("has(proof.claims.a) && (has(proof.claims.b) || proof.subject == 's')").guarded).toEqual(
    new Set(['proof.claims.a']),
  )
})

const conditions = [
  "proof.subject == 'a' && proof.issuer == 'i'",
  'true',
  "proof.subject.startsWith('a')",
  "proof.subject in ['a', 'b']",
  "proof.subject == 'b' && proof.claims.ref == 'main'",
] as const

test.each([
  [{ subject: 'a', issuer: 'i', claims: {} }, [0, 1, 2, 3], []],
  [{ subject: 'a', issuer: 'j', claims: {} }, [1, 2, 3], []],
  [{ subject: 'b', issuer: 'i', claims: { ref: 'main' } }, [1, 3, 4], []],
  [{ subject: 'b', issuer: 'i', claims: { ref: 'dev' } }, [1, 3], []],
  [{ subject: 'b', issuer: 'i', claims: {} }, [1, 3], [4]],
  [{ subject: 'b', issuer: 'i', claims: { ref: 5 } }, [1, 3], [4]],
  [{ subject: 'z', issuer: 'i', claims: {} }, [1], []],
  [{ subject: 'a', claims: {} }, [1, 2, 3], [0]],
])('%j finds %j, and leaves %j open', (attributes, candidates, open) => {
  const found = index(...conditions)(attributes)
  expect(found.candidates).toEqual(candidates.map((order) => conditions[order]))
  expect(found.open.flatMap(({ values }) => values)).toEqual(open.map((order) => conditions[order]))
})

test('says on which paths an entry is left open', () => {
  const found = index("proof.subject == 'a' && proof.claims.a == 'x' && proof.claims.b == 'y'")({
    subject: 'a',
    claims: {},
  })
  expect(found.open.map(({ paths }) => paths.map((path) => path.join('.')))).toEqual([
    ['proof.claims.a', 'proof.claims.b'],
  ])
})

test('lists with very many combinations are left to evaluation', () => {
  const list = (name: string) =>
    `proof.claims.${name} in [${Array.from({ length: 30 }, (_, i) => `'${i}'`).join(', ')}]`
  const text = `${list('a')} && ${list('b')} && proof.subject == 's'`
  const find = index(text)
  expect(find({ subject: 's', claims: { a: '1', b: 'no' } }).candidates).toEqual([text])
  expect(find({ subject: 't', claims: { a: '1', b: '1' } }).candidates).toEqual([])
})

test.each([
  [['proof', 'a'], 'x'],
  [['proof', 'b', 'c'], 'y'],
  [['proof', 'b', 'd'], undefined],
  [['proof', 'b', 'constructor'], undefined],
  [['proof', 'list', '0'], undefined],
  [['proof', 'a', 'length'], undefined],
])('reads %j', (path, value) => {
  expect(readPath({ a: 'x', b: { c: 'y' }, list: ['z'] }, path)).toBe(value)
})

test('hundreds of thousands of entries are found at once', () => {
  const entries = Array.from({ length: 200_000 }, (_, value) => ({ keys: [], value }))
  expect(createConditionIndex(entries)({}).candidates).toHaveLength(200_000)
})
