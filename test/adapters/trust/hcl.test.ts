import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatHcl, formatHclText, type HclObject, hclExpression, hclName } from '../../../src/adapters/trust/hcl.ts'
import { readHcl } from '../../support/hcl.ts'
import { anyText } from '../../support/hostile-texts.ts'

test.each([
  ['a quote and a backslash', '"\\', '"\\"\\\\"'],
  ['an expression', '${x}', '"$${x}"'],
  ['a directive', '%{x}', '"%%{x}"'],
  ['a line break', 'a\nb', '"a\\nb"'],
  ['a dollar sign alone', 'a$b', '"a$b"'],
  ['what is no ASCII', 'é😀', '"\\u00e9\\U0001f600"'],
])('a text with %s', (_, text, expected) => {
  expect(formatHclText(text)).toBe(expected)
})

test('every text and key is read back as it was', () => {
  fc.assert(
    fc.property(anyText, anyText, (key, text) => {
      const object: HclObject = { [key]: [text, { [key]: text }], [`${key}2`]: [text] }
      const written = formatHcl([text], [{ type: 'resource', labels: ['a', text], attributes: { object, text, n: 1 } }])
      expect(written).toMatch(/^[\x20-\x7e\n]*$/)
      const attributes = { object, text, n: 1 }
      expect(readHcl(written)).toEqual([{ type: 'resource', labels: ['a', text], attributes, blocks: [] }])
    }),
  )
})

test('it is laid out as people would', () => {
  const written = formatHcl(
    ['Said above'],
    [
      {
        type: 'resource',
        labels: ['kind', 'name'],
        attributes: {
          a: 'text',
          longer: hclExpression('other.id'),
          absent: undefined,
          map: { one: '1', eleven: true },
          list: [{ x: 'y' }],
          b: ['x'],
        },
        blocks: [{ type: 'inner', attributes: { c: 3 } }],
      },
    ],
  )
  expect(written).toBe(`# Said above

resource "kind" "name" {
  a      = "text"
  longer = other.id
  map = {
    "one"    = "1"
    "eleven" = true
  }
  list = [{
    "x" = "y"
  }]
  b = ["x"]

  inner {
    c = 3
  }
}
`)
})

test.each([
  ['payments-s3', 'payments-s3'],
  ['3.payments', '_3_payments'],
  ['-x', '_-x'],
])('the name of a resource for %s', (text, expected) => {
  expect(hclName(text)).toBe(expected)
})
