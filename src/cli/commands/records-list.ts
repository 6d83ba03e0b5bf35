/**
 * `apostille records list`
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { type Admin, openAdmin } from '../admin-call.ts'
import { act, examples, withConfig } from '../options.ts'
import {
  filterQuery,
  formatRecordInFull,
  formatRecords,
  type RecordDocument,
  type RecordFilterOptions,
  type RecordPageDocument,
  withFilters,
} from '../record.ts'
import { parseCount } from '../values.ts'

interface ListOptions extends RecordFilterOptions {
  readonly limit: number
  readonly order: 'oldest' | 'newest'
  readonly after?: string
}

const maxPage = 1000

export function define(command: Command): void {
  command.description('List records: what was asked, by whom, what was decided and why.')
  withFilters(withConfig(command))
    .option('--limit <n>', 'at most this many', parseCount, 50)
    .addOption(new Option('--order <order>', 'which come first').choices(['oldest', 'newest']).default('newest'))
    .option(
      '--after <next>',
      'go on after this place: `next` of the list before, in the same order (default: from the first)',
    )
  examples(
    command,
    'records list --decision refused --from 1h',
    'records list --request-id 0c1d2e3f405162738495a6b7',
    'records list --spiffe-id spiffe://example.org/ns/web/sa/api --output json',
  )
  act<ListOptions>(command, async (output, options) => {
    const list = await collectRecords(await openAdmin(options), options)
    output.result(list, () => formatList(list.items, options.requestId !== undefined))
    if (list.next !== null) output.note(`There may be more: --after ${list.next}`)
  })
}

/** A page may hold fewer than were asked for, while there is more to look through. */
async function collectRecords(admin: Admin, options: ListOptions) {
  const items: RecordDocument[] = []
  let after = options.after
  for (;;) {
    const limit = Math.min(maxPage, options.limit - items.length)
    const query = { ...filterQuery(options), order: options.order, limit: String(limit), after }
    const page = await admin.call<RecordPageDocument>({ method: 'GET', path: '/v1/records', query })
    items.push(...page.items)
    if (page.next === null || items.length >= options.limit) return { items, next: page.next }
    after = page.next
  }
}

function formatList(records: readonly RecordDocument[], inFull: boolean): string {
  if (records.length === 0) return 'No record fits.'
  return inFull ? records.map(formatRecordInFull).join('\n\n') : formatRecords(records)
}
