import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatRecord, parseRecord, type RecordEntry } from '../../src/core/record.ts'

const time = new Date('2026-01-01T12:00:00.000Z')
const small: RecordEntry = { time, operation: 'config.reload', decision: 'granted' }

const full: RecordEntry = {
  time,
  requestId: 'r-1',
  operation: 'jwt_svid.issue',
  decision: 'granted',
  code: 'not_entitled',
  reason: 'a "reason"\n',
  authenticator: 'cluster-a',
  attributes: { service_account: 'web', namespace: 'payments', claims: { b: [1, { d: 1, c: 2 }], a: null } },
  spiffeId: 'spiffe://example.org/ns/payments/sa/web',
  rule: 'workloads',
  policy: 'p',
  target: 't',
  address: '10.0.0.1',
  document: 'ab',
  proof: 'cd',
  issued: { serialNumber: '01', jti: 'j', kid: 'k', audience: ['a'], expiresAt: new Date(time.getTime() + 1000) },
  notes: ['n'],
  details: { z: 1, a: 2 },
}

test('a record is the document of its entry, absent members left out', () => {
  expect(formatRecord(small)).toBe(
    '{"time":"2026-01-01T12:00:00.000Z","operation":"config.reload","decision":"granted"}',
  )
  expect(parseRecord(formatRecord(full))).toEqual({
    time: '2026-01-01T12:00:00.000Z',
    request_id: 'r-1',
    operation: 'jwt_svid.issue',
    decision: 'granted',
    code: 'not_entitled',
    reason: 'a "reason"\n',
    authenticator: 'cluster-a',
    attributes: full.attributes,
    spiffe_id: 'spiffe://example.org/ns/payments/sa/web',
    rule: 'workloads',
    policy: 'p',
    target: 't',
    address: '10.0.0.1',
    document: 'ab',
    proof: 'cd',
    issued: { expires_at: '2026-01-01T12:00:01.000Z', serial_number: '01', jti: 'j', kid: 'k', audience: ['a'] },
    notes: ['n'],
    details: { z: 1, a: 2 },
  })
})

test('members that come in another order make the same record', () => {
  const attributes = { claims: { a: null, b: [1, { c: 2, d: 1 }] }, namespace: 'payments', service_account: 'web' }
  const reversed = Object.fromEntries(Object.entries({ ...full, attributes }).reverse()) as unknown as RecordEntry
  expect(formatRecord(reversed)).toBe(formatRecord(full))
})

test.each([[['a', 'b', 'c']], [['9', '10', 'a']], [['__proto__', 'A', 'a']]])(
  'flat attributes %j make the same record in any order',
  (names) => {
    const recordOf = (ordered: readonly string[]) =>
      formatRecord({ ...small, attributes: Object.fromEntries(ordered.map((name) => [name, `value of ${name}`])) })
    expect(recordOf(names.toReversed())).toBe(recordOf(names))
    for (const name of names) expect(recordOf(names)).toContain(`"${name}":"value of ${name}"`)
  },
)

test('attributes of any JSON come back as they were, on one line', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
      fc.string({ unit: 'binary' }),
      (attributes, reason) => {
        const body = formatRecord({ ...small, attributes, reason })
        const plain = JSON.parse(JSON.stringify({ attributes, reason }))
        expect(parseRecord(body)).toMatchObject(plain)
        expect(body).not.toContain('\n')
      },
    ),
  )
})

test('a claim called __proto__ is a claim', () => {
  const attributes = JSON.parse('{"__proto__":{"admin":true},"a":1}')
  expect(formatRecord({ ...small, attributes })).toContain('"attributes":{"__proto__":{"admin":true},"a":1}')
})
