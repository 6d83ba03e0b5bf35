import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestJoinToken, formatJoinToken, parseJoinToken } from '../../src/protocol/join-token.ts'

const secret = Buffer.from(Array.from({ length: 32 }, (_, index) => index))
const token = formatJoinToken(secret)

test('has the form that scanners look for', () => {
  expect(token).toMatch(/^apo_join_[0-9A-Za-z]{49}$/)
})

test('its last six characters are the CRC-32 of the 43 before', () => {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  const checksum = [...token.slice(-6)].reduce((sum, digit) => sum * 62 + digits.indexOf(digit), 0)
  expect(checksum).toBe(crc32(token.slice('apo_join_'.length, -6)))
})

test('is stored under the SHA-256 of its text', () => {
  expect(digestJoinToken(token)).toEqual(createHash('sha256').update(token).digest())
})

test('parse and format are inverse', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      expect(parseJoinToken(formatJoinToken(bytes))).toEqual(Buffer.from(bytes))
    }),
  )
})

test('keeps leading zeros', () => {
  expect(parseJoinToken(formatJoinToken(Buffer.alloc(32)))).toEqual(Buffer.alloc(32))
})

test('no token with one other character is a token', () => {
  fc.assert(
    fc.property(fc.integer({ min: 9, max: token.length - 1 }), fc.constantFrom(...'09AZaz'), (at, digit) => {
      fc.pre(token[at] !== digit)
      const changed = `${token.slice(0, at)}${digit}${token.slice(at + 1)}`
      expect(() => parseJoinToken(changed)).toThrow(expect.objectContaining({ code: 'join_token' }))
    }),
  )
})

/** The checksum fits, the number does not. */
const tooLarge = (() => {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  const text = 'z'.repeat(43)
  let rest = crc32(text)
  let checksum = ''
  for (let place = 0; place < 6; place++) {
    checksum = `${digits[rest % 62]}${checksum}`
    rest = Math.floor(rest / 62)
  }
  return `apo_join_${text}${checksum}`
})()

test.each([
  ['nothing', ''],
  ['the prefix alone', 'apo_join_'],
  ['another prefix', token.replace('apo_join_', 'apo_jion_')],
  ['another case', token.toUpperCase()],
  ['a character too many', `${token}0`],
  ['a character too few', token.slice(0, -1)],
  ['a line feed at its end', `${token}\n`],
  ['white space before it', ` ${token}`],
  ['a character of base64', token.replace(/.$/, '-')],
  ['a number above 32 bytes', tooLarge],
])('refuses %s', (_, text) => {
  expect(() => parseJoinToken(text)).toThrow(expect.objectContaining({ code: 'join_token' }))
  expect(() => digestJoinToken(text)).toThrow(expect.objectContaining({ code: 'join_token' }))
})

test.each([0, 31, 33])('makes none of %i bytes', (length) => {
  expect(() => formatJoinToken(Buffer.alloc(length))).toThrow(expect.objectContaining({ code: 'join_token' }))
})

test('says nothing of the token when it refuses one', () => {
  const wrong = token.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
  expect(() => parseJoinToken(wrong)).toThrow(/^join_token: checksum$/)
})
