import { expect, test } from 'vitest'
import {
  authorizeAny,
  authorizeId,
  authorizeMatching,
  authorizeMemberOf,
  parseSpiffeId,
  requireAuthorized,
} from '../../src/index.ts'

const one = authorizeId('spiffe://example.org/a', 'spiffe://example.org/b')
const member = authorizeMemberOf('example.org', 'partner.example')
const segment = authorizeMatching('spiffe://example.org/ns/*/sa/web')
const open = authorizeMatching('spiffe://example.org/ns/*/**')
const whole = authorizeMatching('spiffe://example.org/**')

test.each([
  ['one of the IDs', one, 'spiffe://example.org/b', true],
  ['another ID', one, 'spiffe://example.org/c', false],
  ['what begins like one', one, 'spiffe://example.org/a/b', false],
  ['a member', member, 'spiffe://partner.example/x', true],
  ['a member of what ends the same', member, 'spiffe://not-example.org/x', false],
  ['a segment in place of the star', segment, 'spiffe://example.org/ns/payments/sa/web', true],
  ['two segments in place of the star', segment, 'spiffe://example.org/ns/a/b/sa/web', false],
  ['one segment less', segment, 'spiffe://example.org/ns/sa/web', false],
  ['one segment more', segment, 'spiffe://example.org/ns/a/sa/web/x', false],
  ['another last segment', segment, 'spiffe://example.org/ns/a/sa/web2', false],
  ['another trust domain', segment, 'spiffe://example.com/ns/a/sa/web', false],
  ['several segments below', open, 'spiffe://example.org/ns/a/sa/web', true],
  ['one segment below', open, 'spiffe://example.org/ns/a/b', true],
  ['nothing below', open, 'spiffe://example.org/ns/a', false],
  ['all of a trust domain', whole, 'spiffe://example.org/a', true],
  ['the trust domain itself', whole, 'spiffe://example.org', false],
  ['whoever is vouched for', authorizeAny(), 'spiffe://example.net/x', true],
  ['what a function takes', authorizeMatching(({ path }) => path.length === 2), 'spiffe://example.org/a', true],
])('%s', (_, authorize, uri, expected) => {
  expect(authorize(parseSpiffeId(uri))).toBe(expected)
})

test.each([
  ['a star within a segment', () => authorizeMatching('spiffe://example.org/ns/a*'), 'spiffe_id_path'],
  ['two stars in the middle', () => authorizeMatching('spiffe://example.org/**/a'), 'spiffe_id_path'],
  ['a star as trust domain', () => authorizeMatching('spiffe://*/a'), 'trust_domain_name'],
  ['no path', () => authorizeMatching('spiffe://example.org'), 'spiffe_id_path'],
  ['a path alone', () => authorizeMatching('/ns/*'), 'spiffe_id_scheme'],
  ['an ID that is none', () => authorizeId('spiffe://example.org/a/'), 'spiffe_id_path'],
  ['a trust domain that is none', () => authorizeMemberOf('Example.org'), 'trust_domain_name'],
])('%s is refused when it is made', (_, make, code) => {
  expect(make).toThrow(expect.objectContaining({ code }))
})

test('who is not authorised is named', () => {
  const id = parseSpiffeId('spiffe://example.org/c')
  expect(() => requireAuthorized(id, one)).toThrow(
    expect.objectContaining({ code: 'not_authorized', message: expect.stringContaining(id.uri) }),
  )
})
