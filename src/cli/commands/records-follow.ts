/**
 * `apostille records follow`
 *
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { act, examples, withConfig } from '../options.ts'
import {
  filterQuery,
  formatRecordLine,
  type RecordFilterOptions,
  type RecordPageDocument,
  withFilters,
} from '../record.ts'

const pollMs = 500

export function define(command: Command): void {
  command.description(
    'Show records as they are kept, until it is stopped. With --output json each is one line. The gateway does not wait for whoever follows.',
  )
  withFilters(withConfig(command))
  examples(command, 'records follow', 'records follow --decision refused --output json')
  act<RecordFilterOptions>(command, async (output, options) => {
    const admin = await openAdmin(options)
    const ask = (after: string | undefined) =>
      admin.call<RecordPageDocument>({
        method: 'GET',
        path: '/v1/records',
        query: { ...filterQuery(options), follow: '1', after },
      })
    let page = await ask(undefined)
    output.note('Following the records. Stop with Ctrl-C.')
    for (;;) {
      for (const record of page.items)
        process.stdout.write(`${output.format === 'json' ? JSON.stringify(record) : formatRecordLine(record)}\n`)
      if (page.items.length === 0) await wait(pollMs)
      page = await ask(page.position)
    }
  })
}
