import { expect, test } from 'vitest'
import { formatRecordLine, formatRecords, type RecordDocument } from '../../src/cli/record.ts'
import { summariseDetails } from '../../src/cli/record-summary.ts'

const id = '2f9b4bfe0a11c8d7e6f5a4b3c2d1e0f9a8b7c6d5'

test.each<readonly [string, Readonly<Record<string, unknown>> | undefined, string | undefined]>([
  ['authority.taint', { ring: 'x509', id }, 'x509 2f9b4bfe0a11…'],
  ['authority.activate', { ring: 'jwt/ES256' }, 'jwt/ES256'],
  [
    'join_token.create',
    { id: '00ff', authenticator: 'first', name: 'db-1', uses: 3, expires_at: '2026-11-23T02:00:00Z' },
    'db-1 for first, 3 uses, until 2026-11-23T02:00:00Z',
  ],
  ['join_token.revoke', { id: '00ff00ff00ff00ff' }, '00ff00ff00ff…'],
  ['federation.refresh', { trust_domain: 'spire.example' }, 'spire.example'],
  [
    'federation.bundle',
    { trust_domain: 'spire.example', source: 'poll', keys_added_count: 2, keys_removed_count: 1 },
    'spire.example from poll: 2 keys added, 1 removed',
  ],
  ['config.reload', { from: 'aa'.repeat(32), to: 'bb'.repeat(32) }, 'document bbbbbbbbbbbb…'],
  ['refusals.counted', { count: 7, minute: '2026-11-23T02:00:00Z' }, '7 more in the minute 2026-11-23T02:00:00Z'],
  ['records.prune', { before: '2026-11-23T02:00:00Z' }, 'all before 2026-11-23T02:00:00Z'],
  ['jwt_svid', { requested_spiffe_id: 'spiffe://example.org/a' }, undefined],
  ['kv.read', { path: 'payments/db', version: 2 }, 'payments/db version 2'],
  ['kv.destroy', { path: 'payments/db', versions: [1, 2] }, 'payments/db version 1, 2'],
  ['kv.list', { path: 'payments/' }, 'payments/'],
  ['kv.list', { path: '' }, undefined],
  ['authority.taint', {}, undefined],
  ['jwt_svid', undefined, undefined],
])('%s with %j', (operation, details, summary) => {
  expect(summariseDetails(operation, details)).toBe(summary)
})

const record: RecordDocument = {
  ...{ chain: 'main', sequence: 1, time: '2026-11-23T02:00:00.000Z', request_id: 'r', operation: 'authority.taint' },
  ...{ decision: 'granted', details: { ring: 'x509', id } },
}

test('lists and lines show it where a record has no reason', () => {
  expect(formatRecords([record])).toMatch(/ x509 2f9b4bfe0a11…$/)
  expect(formatRecordLine(record)).toBe('2026-11-23 02:00:00Z  granted  authority.taint  x509 2f9b4bfe0a11…  (r)')
})

test('of a secret both are shown', () => {
  const read: RecordDocument = {
    ...record,
    operation: 'kv.read',
    reason: 'permitted by team',
    details: { path: 'a/b', version: 1 },
  }
  expect(formatRecords([read])).toMatch(/ a\/b version 1: permitted by team$/)
})

test.each([
  ['exchange', 'permitted by team', 'payments-s3: permitted by team'],
  ['exchange_token', 'a token for payments-s3', 'a token for payments-s3'],
])('of an %s the target is shown, once', (operation, reason, shown) => {
  const { details: _, ...rest } = record
  const line = formatRecordLine({ ...rest, operation, reason, target: 'payments-s3' })
  expect(line).toBe(`2026-11-23 02:00:00Z  granted  ${operation}  ${shown}  (r)`)
})

test('a reason goes before it', () => {
  const refused: RecordDocument = { ...record, decision: 'refused', code: 'conflict', reason: 'too early' }
  expect(formatRecords([refused])).toMatch(/ conflict: too early$/)
})
