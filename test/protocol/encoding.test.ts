import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  asBuffer,
  formatBase64,
  formatBase64Url,
  formatHex,
  formatPem,
  parseBase64,
  parseBase64Url,
  parseHex,
  parsePem,
} from '../../src/protocol/encoding.ts'

const bytes = fc.uint8Array({ maxLength: 300 })

test.each([
  ['base64url', formatBase64Url, parseBase64Url],
  ['base64', formatBase64, parseBase64],
  ['hex', formatHex, parseHex],
] as const)('%s: formatting and parsing are inverse, and accepted text is never altered', (_, format, parse) => {
  fc.assert(
    fc.property(bytes, (value) => {
      expect([...parse(format(value))]).toEqual([...value])
    }),
  )
  const near = fc.string({ unit: fc.constantFrom(...'AaQg09-_+/= \n'), maxLength: 9 })
  fc.assert(
    fc.property(near, (text) => {
      const parsed = attempt(() => parse(text))
      if (parsed !== undefined) expect(format(parsed)).toBe(text)
    }),
  )
})

// RFC 4648 §10
test.each([
  ['', '', '', ''],
  ['f', 'Zg', 'Zg==', '66'],
  ['fo', 'Zm8', 'Zm8=', '666f'],
  ['foobar', 'Zm9vYmFy', 'Zm9vYmFy', '666f6f626172'],
])('writes %j as RFC 4648 does', (text, base64url, base64, hex) => {
  const value = Buffer.from(text)
  expect([formatBase64Url(value), formatBase64(value), formatHex(value)]).toEqual([base64url, base64, hex])
})

test.each([
  ['padding', 'Zg=='],
  ['the other alphabet', '+/+/'],
  ['white space', 'Zm9v\n'],
  ['an inner space', 'Zm 9v'],
  ['bits left over', 'Zh'],
  ['a lone character', 'Z'],
  ['a dot', 'Zm9v.Zm9v'],
  ['a non-ASCII character', 'Zm9vé'],
])('refuses base64url with %s', (_, text) => {
  expect(() => parseBase64Url(text)).toThrow(expect.objectContaining({ code: 'encoding' }))
})

test.each([
  ['no padding', 'Zg'],
  ['too much padding', 'Zg==='],
  ['the other alphabet', '-_-_'],
  ['a line break', 'Zm9v\nZm9v'],
  ['bits left over', 'Zh=='],
])('refuses base64 with %s', (_, text) => {
  expect(() => parseBase64(text)).toThrow(expect.objectContaining({ code: 'encoding' }))
})

test.each([
  ['upper case', '0A'],
  ['an odd digit', '0ab'],
  ['a foreign digit', '0g'],
])('refuses hex with %s', (_, text) => {
  expect(() => parseHex(text)).toThrow(expect.objectContaining({ code: 'encoding' }))
})

test('PEM: formatting and parsing are inverse', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 4 }), (blocks) => {
      const text = blocks.map((der) => formatPem('CERTIFICATE', der)).join('')
      expect(parsePem('CERTIFICATE', text).map((der) => [...der])).toEqual(blocks.map((der) => [...der]))
    }),
  )
})

test('PEM lines have 64 characters', () => {
  expect(formatPem('X', Buffer.alloc(49))).toBe(`-----BEGIN X-----\n${'A'.repeat(64)}\nAA==\n-----END X-----\n`)
})

const block = formatPem('CERTIFICATE', Buffer.from('leaf'))

test.each([
  ['CRLF', block.replaceAll('\n', '\r\n')],
  ['spaces at line ends', block.replaceAll('\n', ' \n')],
  ['text around it', `subject=leaf\n${block}\nissuer=root`],
  ['a block of another label', formatPem('PRIVATE KEY', Buffer.from('key')) + block],
])('reads a PEM block with %s', (_, text) => {
  expect(parsePem('CERTIFICATE', text)).toEqual([Buffer.from('leaf')])
})

test.each([
  ['no block', ''],
  ['a block of another label only', formatPem('PRIVATE KEY', Buffer.from('key'))],
  ['a block that is cut off', block + block.slice(0, 40)],
  ['another label at the end', block.replace('END CERTIFICATE', 'END PRIVATE KEY')],
  ['an empty block', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'],
  ['an inner space', block.replace('bGVh', 'bG Vh')],
  ['headers', block.replace('-----\n', '-----\nProc-Type: 4,ENCRYPTED\n\n')],
  ['a second block that is broken', block + block.replace('bGVh', 'b!Vh')],
  ['no padding', block.replace('==', '')],
])('refuses PEM with %s', (_, text) => {
  expect(() => parsePem('CERTIFICATE', text)).toThrow(expect.objectContaining({ code: 'pem' }))
})

test('a Buffer of other bytes is the same memory', () => {
  const memory = new Uint8Array([1, 2, 3, 4]).subarray(1, 3)
  const buffer = asBuffer(memory)
  memory[0] = 9
  expect([...buffer]).toEqual([9, 3])
  expect(asBuffer(buffer)).toBe(buffer)
})

function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}
