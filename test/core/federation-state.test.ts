import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  type AcceptRule,
  compareBundles,
  fileDigest,
  formatPeerState,
  judgeBundle,
  type PeerState,
  readPeerState,
} from '../../src/core/federation-state.ts'
import { parseTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { a, authorityOf, type BundleWishes, bundleText, noon } from '../support/federation-world.ts'

test('what is kept is read as it was written', () => {
  const state: PeerState = {
    bundle: '{"keys":[]}',
    source: 'endpoint',
    sequence: '18446744073709551615',
    keys: { x509: 1, jwt: 2 },
    refreshHintSeconds: 300,
    confirmedAt: noon,
    file: fileDigest('{}'),
    pollAt: noon,
    failures: 2,
    problem: 'nobody is there',
  }
  expect(readPeerState(formatPeerState(state))).toEqual(state)
  expect(readPeerState('')).toBeUndefined()
})

const judge = (offered: string, held: string | undefined, rule: AcceptRule) => {
  const sequence = held === undefined ? undefined : parseTrustBundle(a, held).sequence
  const state = {
    ...(held !== undefined && { bundle: held }),
    ...(sequence !== undefined && { sequence: String(sequence) }),
  }
  return judgeBundle(a, offered, state, rule).kind
}

const other = { keys: [2] }

test.each<[string, BundleWishes, BundleWishes, string]>([
  ['a newer one', { sequence: 6, ...other }, { sequence: 5 }, 'new new new'],
  ['an older one', { sequence: 4, ...other }, { sequence: 5 }, 'new refused refused'],
  ['another one of the same number', { sequence: 5, ...other }, { sequence: 5 }, 'new new refused'],
  ['one without a number', other, { sequence: 5 }, 'new new refused'],
  ['one with a number over one without', { sequence: 1, ...other }, {}, 'new new refused'],
  ['another one where none has a number', other, {}, 'new new refused'],
  ['the very same', { sequence: 5 }, { sequence: 5 }, 'same same same'],
])('judges %s by the rules any, not older, newer', (_, offered, held, kinds) => {
  const rules = ['any', 'not_older', 'newer'] as const
  const found = rules.map((rule) => judge(bundleText(a, offered), bundleText(a, held), rule))
  expect(found.join(' ')).toBe(kinds)
})

test('numbers above 2^53 are compared whole', () => {
  const text = (sequence: string) => `{"spiffe_sequence":${sequence},"keys":[]}`
  expect(judge(text('18446744073709551614'), text('18446744073709551615'), 'not_older')).toBe('refused')
  expect(judge(text('18446744073709551615'), text('18446744073709551614'), 'newer')).toBe('new')
})

test.each<[string, string]>([
  ['HTML', '<!doctype html><title>Sign in</title>'],
  ['nothing', ''],
  ['a document that was cut', bundleText(a, { sequence: 9 }).slice(0, -1)],
  ['JSON that is no key set', '{"error":"not found"}'],
  ['a number of keys', '{"keys":3}'],
  ['10,000 keys', `{"keys":[${Array(10_000).fill('{}').join()}]}`],
])('never takes %s, whatever the rule', (_, text) => {
  for (const rule of ['any', 'not_older', 'newer'] as const) {
    expect(judge(text, undefined, rule)).toBe('malformed')
    expect(judge(text, bundleText(a), rule)).toBe('malformed')
  }
})

test('takes a bundle without usable keys', () => {
  expect(judge('{"spiffe_sequence":6,"keys":[{"kty":"OKP"}]}', bundleText(a, { sequence: 5 }), 'not_older')).toBe('new')
})

test('says why in words for the operator, without what was sent', () => {
  const held = { bundle: bundleText(a, { sequence: 5 }), sequence: '5' }
  expect(judgeBundle(a, bundleText(a, { sequence: 4 }), held, 'not_older')).toEqual({
    kind: 'refused',
    problem: 'its sequence number 4 is below 5, the one held',
  })
  expect(JSON.stringify(judgeBundle(a, '<b>secret</b>', held, 'any'))).not.toContain('secret')
})

test('a change is told by sequence numbers and fingerprints of keys', () => {
  const before = parseTrustBundle(a, bundleText(a, { sequence: 5, keys: [1, 2] }))
  const after = parseTrustBundle(a, bundleText(a, { sequence: 6, keys: [2, 3] }))
  const { fromSequence, toSequence, added, removed } = compareBundles(before, after)
  expect([fromSequence, toSequence]).toEqual(['5', '6'])
  expect([added.length, removed.length]).toEqual([1, 1])
  expect(added[0]).toMatch(/^x509 [0-9a-f]{16}$/)
  expect(compareBundles(before, undefined).removed).toHaveLength(2)
  expect(compareBundles(undefined, after).added).toHaveLength(2)
})

test('another key under the same kid is a change, and a long kid is cut', () => {
  const bundle = () => ({
    trustDomain: a,
    x509Authorities: [authorityOf(a).der],
    jwtAuthorities: [{ kid: 'k'.repeat(1000), key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey }],
  })
  const { added, removed } = compareBundles(bundle(), bundle())
  expect([added.length, removed.length]).toEqual([1, 1])
  expect(added[0]).toMatch(/^jwt [0-9a-f]{16} k{64}$/)
})
