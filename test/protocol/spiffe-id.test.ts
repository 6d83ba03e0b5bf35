import fc from 'fast-check'
import { expect, test } from 'vitest'
import { buildSpiffeId, isBelow, isPathSegment, parseSpiffeId, parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import vectors from '../vectors/spiffe-id.json' with { type: 'json' }

test.each(vectors.accepted)('splits an ID: %s', (_, uri, trustDomain, path) => {
  expect(parseSpiffeId(uri)).toEqual({ uri, trustDomain, path })
})

test.each(vectors.refused)('refuses %s', (_, uri, code) => {
  expect(() => parseSpiffeId(uri)).toThrow(expect.objectContaining({ code }))
})

test.each([
  ['a trust domain of 255 bytes', 'a'.repeat(255), undefined],
  ['a trust domain of 256 bytes', 'a'.repeat(256), 'trust_domain_name'],
  ['an empty trust domain', '', 'trust_domain_name'],
  ['an upper-case trust domain', 'Example.org', 'trust_domain_name'],
])('judges %s', (_, name, code) => {
  if (code === undefined) expect(parseTrustDomain(name)).toBe(name)
  else expect(() => parseTrustDomain(name)).toThrow(expect.objectContaining({ code }))
})

test('takes IDs of 2048 bytes and no longer', () => {
  const head = 'spiffe://example.org/'
  const longest = head + 'a'.repeat(2048 - head.length)
  expect(parseSpiffeId(longest).uri).toBe(longest)
  expect(() => parseSpiffeId(`${longest}a`)).toThrow(expect.objectContaining({ code: 'spiffe_id_too_long' }))
})

test.each([
  ['web', true],
  ['...', true],
  ['a.b_c-D9', true],
  ['', false],
  ['.', false],
  ['..', false],
  ['a/b', false],
  ['a b', false],
  ['a%41', false],
  ['web\n', false],
])('%j as a path segment: %s', (text, expected) => {
  expect(isPathSegment(text)).toBe(expected)
})

test.each([
  ['/spire/agent', '/spire/agent', true],
  ['/spire/agent/x', '/spire/agent', true],
  ['/spire/agentx', '/spire/agent', false],
  ['/spire', '/spire/agent', false],
  ['/other/spire/agent', '/spire/agent', false],
  ['', '/spire/agent', false],
  ['/anything', '', true],
])('%j is below %j: %s', (path, prefix, expected) => {
  expect(isBelow(path, prefix)).toBe(expected)
})

const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/).filter((text) => text !== '.' && text !== '..')

test('what is built is parsed as the same ID', () => {
  const trustDomain = fc.stringMatching(/^[a-z0-9._-]{1,40}$/)
  fc.assert(
    fc.property(trustDomain, fc.array(segment, { maxLength: 8 }), (name, segments) => {
      const id = buildSpiffeId(parseTrustDomain(name), segments.map((text) => `/${text}`).join(''))
      expect(parseSpiffeId(id.uri)).toEqual(id)
      expect(segments.every(isPathSegment)).toBe(true)
    }),
  )
})

test('accepted input is never altered', () => {
  const near = fc.string({ unit: fc.constantFrom(...'aZ0.-_/%?#:@ \n'), maxLength: 12 })
  fc.assert(
    fc.property(near, (rest) => {
      const uri = `spiffe://${rest}`
      const parsed = parsedOrUndefined(uri)
      if (parsed !== undefined) expect(`spiffe://${parsed.trustDomain}${parsed.path}`).toBe(uri)
    }),
  )
})

function parsedOrUndefined(uri: string) {
  try {
    return parseSpiffeId(uri)
  } catch {
    return undefined
  }
}
