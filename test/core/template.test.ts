import { expect, test } from 'vitest'
import { proofAttributes } from '../../src/core/config-authenticators.ts'
import { ruleEnvironment } from '../../src/core/expression.ts'
import { compileTemplate, evaluateTemplate, fillTemplate, isLiteral } from '../../src/core/template.ts'

const environment = ruleEnvironment(proofAttributes.oidc)
const claims = { run: 5, yes: true, list: [1, { a: 'b' }], nothing: null, text: 'a' }
const variables = {
  proof: { issuer: 'https://i', subject: 's', claims },
  request: { time: new Date('2026-05-04T10:00:00Z') },
}
const evaluate = (text: string) => evaluateTemplate(compileTemplate(text, environment), variables)

test.each([
  ['plain', 'plain'],
  ['', ''],
  ['${proof.subject}', 's'],
  ['/a/${proof.subject}/b/${proof.claims.text}', '/a/s/b/a'],
  ['${proof.subject}${proof.subject}', 'ss'],
  ["${proof.subject == 's' ? '}' : '{'}", '}'],
  ['${proof.subject + "}"}', 's}'],
  ["${'''}'''}!", '}!'],
  ["${r'\\}'}!", '\\}!'],
  ["${'\\'}'}!", "'}!"],
  ["${{'k': 'v'}.k}!", 'v!'],
  ["${'a' // }\n}!", 'a!'],
  ['$5 and {braces} and $', '$5 and {braces} and $'],
  ["${'$'}{x}", '${x}'],
  ['run ${proof.claims.run}, ${proof.claims.yes}', 'run 5, true'],
])('%j gives %j', (text, value) => {
  expect(evaluate(text)).toBe(value)
})

test.each([
  ['${proof.claims.run}', 5],
  ['${proof.claims.yes}', true],
  ['${proof.claims.list}', [1, { a: 'b' }]],
  ['${proof.claims.nothing}', null],
  ['${size(proof.subject)}', 1],
  ['${request.time}', '2026-05-04T10:00:00.000Z'],
  ["${{'a': 1}}", { a: 1 }],
])('a template of one expression keeps the type of JSON: %j', (text, value) => {
  expect(evaluate(text)).toEqual(value)
})

test.each([
  ['${proof.claims.absent}', 'no_such_key'],
  ['x ${proof.claims.absent}', 'no_such_key'],
  ['x ${proof.claims.list}', 'not_a_text'],
  ['x ${proof.claims.nothing}', 'not_a_text'],
  ['${9007199254740993}', 'not_json'],
  ["${duration('1s')}", 'not_json'],
  ['${1.0 / 0.0}', 'not_json'],
])('%j comes to no value: %s', (text, code) => {
  expect(() => evaluate(text)).toThrow(expect.objectContaining({ name: 'ExpressionError', code }))
})

test.each([
  ['/a/${proof.subject', 'no brace closes it', 3],
  ["/a/${'}", 'no brace closes it', 3],
  ['/a/${}', 'an expression is missing', 5],
  ['/a/${ }', 'an expression is missing', 5],
  ['/a/${proof.nope}', 'proof has no nope', 11],
  ['/a/${proof.subject}/${1 +}', 'unexpected token', 25],
])('refuses %j', (text, message, offset) => {
  expect(() => compileTemplate(text, environment)).toThrow(
    expect.objectContaining({ name: 'ExpressionSyntaxError', message: expect.stringContaining(message), offset }),
  )
})

test('knows what it reads, and whether it means itself', () => {
  const template = compileTemplate('${proof.subject}-${request.audience}', environment)
  expect(template.reads).toEqual(new Set(['proof.subject', 'request.audience']))
  expect(isLiteral(template)).toBe(false)
  expect(isLiteral(compileTemplate('a$b', environment))).toBe(true)
})

test('each value is written as the caller says', () => {
  const template = compileTemplate('<${proof.subject}|${proof.claims.run}>', environment)
  expect(fillTemplate(template, variables, (value, hole) => `${hole.text}=${String(value)}`)).toBe(
    '<proof.subject=s|proof.claims.run=5>',
  )
})
