import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { tags } from '../../src/protocol/der.ts'
import { type DerPart, derInteger, derNode, derTime, formatDer } from '../../src/protocol/der-writer.ts'
import { type FirstProof, formatFirstProof, parseFirstProof } from '../../src/protocol/first-proof.ts'
import { testWithOpenssl } from '../support/openssl.ts'

const at = new Date('2026-08-01T12:00:00Z')
const ruleDigest = 'ab'.repeat(32)
const proof: FirstProof = { ruleDigest, at, joinToken: '0011223344556677' }

const firstProofs = fc.record(
  {
    ruleDigest: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    at: fc.date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }).map((date) => {
      return new Date(Math.floor(date.getTime() / 1000) * 1000)
    }),
    joinToken: fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 1, maxLength: 64 }),
  },
  { requiredKeys: ['ruleDigest', 'at'] },
)

test('what was written is read', () => {
  fc.assert(fc.property(firstProofs, (one) => void expect(parseFirstProof(formatFirstProof(one))).toEqual(one)))
})

test('what is read is written the same: each value has one spelling', () => {
  fc.assert(
    fc.property(firstProofs, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, place, change) => {
      const der = formatFirstProof(one)
      const changed = Buffer.from(der)
      changed[place % der.length] = (changed[place % der.length] ?? 0) ^ change
      let read: FirstProof
      try {
        read = parseFirstProof(changed)
      } catch (error) {
        expect(['der', 'x509_svid']).toContain((error as { code?: string }).code)
        return
      }
      expect(formatFirstProof(read)).toEqual(changed)
      expect(read).not.toEqual(one)
    }),
    { numRuns: 2000 },
  )
})

test('fractions of a second are not kept', () => {
  expect(parseFirstProof(formatFirstProof({ ruleDigest, at: new Date(at.getTime() + 999) })).at).toEqual(at)
})

testWithOpenssl('openssl reads its parts', () => {
  const text = execFileSync('openssl', ['asn1parse', '-inform', 'DER'], {
    input: formatFirstProof(proof),
    encoding: 'utf8',
  })
  expect(text).toMatch(/OCTET STRING\s+\[HEX DUMP\]:(AB){32}/)
  expect(text).toMatch(/UTCTIME\s+:260801120000Z/)
  expect(text).toMatch(/UTF8STRING\s+:0011223344556677/)
})

describe('anything else is refused', () => {
  const digest = derNode(tags.octetString, Buffer.from(ruleDigest, 'hex'))
  const time = derTime(at)
  const text = (value: string) => derNode(tags.utf8String, Buffer.from(value))
  const sequence = (...parts: readonly DerPart[]) => formatDer(derNode(tags.sequence, ...parts))

  test.each<readonly [string, Uint8Array, string]>([
    ['nothing', Buffer.alloc(0), 'der'],
    ['an empty sequence', sequence(), 'der'],
    ['no time', sequence(digest), 'der'],
    ['a digest that is too short', sequence(derNode(tags.octetString, Buffer.alloc(31)), time), 'x509_svid'],
    ['a digest that is too long', sequence(derNode(tags.octetString, Buffer.alloc(33)), time), 'x509_svid'],
    ['a number for the digest', sequence(derInteger(Buffer.alloc(32, 1)), time), 'der'],
    ['a token that is a number', sequence(digest, time, derInteger(Buffer.of(1))), 'der'],
    ['a token that is empty', sequence(digest, time, text('')), 'x509_svid'],
    ['a token that is too long', sequence(digest, time, text('a'.repeat(65))), 'x509_svid'],
    ['a token that is no UTF-8', sequence(digest, time, derNode(tags.utf8String, Buffer.of(0xff))), 'x509_svid'],
    ['one part more', sequence(digest, time, text('a'), text('b')), 'x509_svid'],
    ['another order', sequence(time, digest), 'der'],
    ['a set', formatDer(derNode(0x31, digest, time)), 'der'],
    ['bytes after it', Buffer.concat([formatFirstProof(proof), Buffer.of(0)]), 'der'],
    ['a part of it', formatFirstProof(proof).subarray(0, -1), 'der'],
  ])('%s', (_, value, code) => {
    expect(() => parseFirstProof(value)).toThrow(expect.objectContaining({ code }))
  })
})
