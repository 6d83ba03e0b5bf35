/**
 * Syncs: how each stands at each of its destinations, and what is not as it should be there.
 *
 * @module
 */
import { html } from 'hono/html'
import type { DestinationStatus, SyncCounts, SyncFault } from '../../core/sync-status.ts'
import type { SyncReport } from '../../core/syncs.ts'
import { code, distanceOf, type Markup, status, table, timeOf } from './layout.ts'

/** One sync at one of its destinations. */
interface Row {
  readonly report: SyncReport
  readonly destination: string
  /** Absent before the first run there. */
  readonly at: DestinationStatus | undefined
}

interface FaultRow extends Pick<Row, 'destination'> {
  readonly sync: string
  readonly fault: SyncFault
}

export function syncsPage(reports: readonly SyncReport[], now: Date): Markup {
  const rows = reports.flatMap((report) =>
    report.sync.destinations.map(
      ({ name }): Row => ({ report, destination: name, at: report.status?.destinations[name] }),
    ),
  )
  const faults = rows.flatMap(({ report, destination, at }) =>
    (at?.problems ?? []).map((fault): FaultRow => ({ sync: report.sync.name, destination, fault })),
  )
  return html`${table('Syncs', columns(now), rows, 'The configuration has none.')}
${rows.length > 0 ? table('What is not as it should be', faultColumns, faults, 'Nothing.') : ''}`
}

function columns(now: Date) {
  return [
    { title: 'Sync', cell: ({ report }: Row) => report.sync.name },
    { title: 'From', cell: ({ report: { sync } }: Row) => sync.document.source },
    { title: 'To', cell: ({ destination }: Row) => destination },
    { title: 'State', cell: stateOf },
    {
      title: 'All as it should be',
      cell: ({ at }: Row) => (at?.syncedAt ? html`${distanceOf(at.syncedAt, now)} (${timeOf(at.syncedAt)})` : 'never'),
    },
    { title: 'Last run', cell: ({ at }: Row) => (at ? distanceOf(at.finishedAt, now) : '') },
    { title: 'Current', cell: ({ at }: Row) => at?.counts.current ?? '', numeric: true },
    { title: 'Changed by it', cell: ({ at }: Row) => (at ? changesOf(at.counts) : '') },
    { title: 'Acts as', cell: ({ report: { sync } }: Row) => code(sync.spiffeId.uri) },
  ]
}

function stateOf({ report: { sync, running }, at }: Row): Markup {
  if (sync.document.paused) return html`paused`
  if (at === undefined) return running ? html`running` : html`not run yet`
  switch (at.state) {
    case 'synced':
      return status('good', running ? 'synced, running again' : 'synced')
    case 'failed':
      return html`${status('bad', 'failed')} ${at.error ?? ''}`
    case 'incomplete':
      return status('warning', `${at.counts.problems} not as they should be`)
    case 'deletions_held':
      return html`${status('warning', `${at.counts.leftOver} deletions wait`)} <code>apostille sync apply ${sync.name} --yes</code> makes them`
  }
}

const changes = ['created', 'updated', 'adopted', 'repaired', 'marked', 'removed'] as const

function changesOf(counts: SyncCounts): string {
  return changes.flatMap((name) => (counts[name] > 0 ? [`${counts[name]} ${name}`] : [])).join(', ')
}

const faultColumns = [
  { title: 'Secret', cell: ({ fault }: FaultRow) => code(fault.name ?? fault.source?.path ?? '') },
  { title: 'Sync', cell: ({ sync }: FaultRow) => sync },
  { title: 'Destination', cell: ({ destination }: FaultRow) => destination },
  { title: 'Kind', cell: ({ fault }: FaultRow) => status('warning', fault.code ?? fault.kind) },
  { title: 'What', cell: ({ fault }: FaultRow) => fault.message },
  { title: 'What to do', cell: ({ fault }: FaultRow) => fault.fix ?? '' },
]
