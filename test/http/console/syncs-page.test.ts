import { describe, expect, test } from 'vitest'
import { type DestinationStatus, noCounts } from '../../../src/core/sync-status.ts'
import type { SyncReport } from '../../../src/core/syncs.ts'
import { syncsPage } from '../../../src/http/console/syncs-page.ts'

const now = new Date('2026-12-01T12:00:00Z')
const anHourAgo = new Date('2026-12-01T11:00:00Z')

function reportOf(status?: Partial<DestinationStatus>, { paused = false, running = false } = {}): SyncReport {
  const at: DestinationStatus = { state: 'synced', finishedAt: anHourAgo, counts: noCounts, problems: [], ...status }
  const sync = {
    name: 'payments',
    document: { source: 'kv', paused },
    spiffeId: { uri: 'spiffe://example.org/apostille/sync/payments' },
    destinations: [{ name: 'aws' }],
  } as unknown as SyncReport['sync']
  return {
    sync,
    running,
    ...(status && { status: { destinations: { aws: at } } as unknown as NonNullable<SyncReport['status']> }),
  }
}

const show = async (report: SyncReport) => String(await syncsPage([report], now))

describe('says how a sync stands', () => {
  test.each<[string, SyncReport, string]>([
    ['before its first run', reportOf(), 'not run yet'],
    ['in its first run', reportOf(undefined, { running: true }), '<td>running</td>'],
    ['paused', reportOf({}, { paused: true }), '<td>paused</td>'],
    ['with all as it should be', reportOf({ syncedAt: anHourAgo }), '1 h ago'],
    [
      'failed, and why',
      reportOf({ state: 'failed', error: 'the source does not answer' }),
      'the source does not answer',
    ],
    [
      'with problems',
      reportOf({ state: 'incomplete', counts: { ...noCounts, problems: 2 } }),
      '2 not as they should be',
    ],
    [
      'while deletions wait, and what makes them',
      reportOf({ state: 'deletions_held', counts: { ...noCounts, leftOver: 7 } }),
      'apostille sync apply payments --yes',
    ],
    [
      'and what the last run changed',
      reportOf({ counts: { ...noCounts, created: 3, removed: 1 } }),
      '3 created, 1 removed',
    ],
  ])('%s', async (_, report, words) => {
    expect(await show(report)).toContain(words)
  })
})

test('names each secret that is not as it should be, with what helps, as text', async () => {
  const fault = { kind: 'conflict', code: 'not_owned', name: '<b>', message: 'it is not ours', fix: 'say adopt' }

  const page = await show(reportOf({ state: 'incomplete', problems: [fault] }))

  for (const words of ['&lt;b&gt;', 'not_owned', 'it is not ours', 'say adopt']) expect(page).toContain(words)
  expect(page).not.toContain('<b>')
})
