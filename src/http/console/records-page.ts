/**
 * What was asked, decided and issued, newest first.
 *
 * @module
 */
import { html } from 'hono/html'
import type { ListedRecord, RecordPage } from '../../core/record-list.ts'
import { code, type Markup, status, table, timeOf } from './layout.ts'

/** What the form asks for, as it stands in the address: empty for anything. */
export type RecordFilter = Readonly<Record<(typeof filterFields)[number]['name'], string>>

export const filterFields = [
  { name: 'decision', label: 'Decision', options: ['granted', 'refused'] },
  { name: 'operation', label: 'Operation' },
  { name: 'spiffe_id', label: 'SPIFFE ID' },
  { name: 'authenticator', label: 'Authenticator' },
  { name: 'rule', label: 'Rule' },
  { name: 'code', label: 'Code' },
  { name: 'request_id', label: 'Request' },
] as const satisfies readonly { name: string; label: string; options?: readonly string[] }[]

export function recordsPage(filter: RecordFilter, { items, next }: RecordPage): Markup {
  return html`${form(filter)}
${table('Records', columns, items, next === undefined ? 'There is none of that kind.' : 'None of that kind among the newest: go on to older ones.')}
${next === undefined ? '' : html`<p><a href="/records?${new URLSearchParams({ ...givenIn(filter), after: next }).toString()}" rel="next">Older</a></p>`}`
}

/** What the form asks for, without what it leaves open. */
export const givenIn = (filter: RecordFilter): Partial<RecordFilter> =>
  Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ''))

function form(filter: RecordFilter): Markup {
  return html`<form method="get" action="/records" role="search" aria-label="Records">
${filterFields.map((field) => html`<label>${field.label} ${'options' in field ? choice(field, filter[field.name]) : html`<input name="${field.name}" value="${filter[field.name]}" autocomplete="off" spellcheck="false">`}</label>`)}
<button>Show</button> <a href="/records">All</a>
</form>`
}

function choice(
  { name, options }: { readonly name: string; readonly options: readonly string[] },
  chosen: string,
): Markup {
  const item = (value: string, text = value) =>
    html`<option value="${value}"${value === chosen ? html` selected` : ''}>${text}</option>`
  return html`<select name="${name}">${item('', 'any')}${options.map((value) => item(value))}</select>`
}

const columns = [
  { title: 'Time', cell: ({ record }: ListedRecord) => timeOf(new Date(record.time)) },
  { title: 'Operation', cell: ({ record }: ListedRecord) => record.operation },
  {
    title: 'Decision',
    cell: ({ record }: ListedRecord) =>
      record.decision === 'granted' ? status('good', 'granted') : status('bad', record.code ?? 'refused'),
  },
  { title: 'Who', cell: whoOf },
  { title: 'Why', cell: ({ record }: ListedRecord) => html`<span class="wide">${record.reason ?? ''}</span>` },
  { title: 'From', cell: ({ record }: ListedRecord) => record.address ?? '' },
  {
    title: 'Request',
    cell: ({ record }: ListedRecord) => (record.request_id === undefined ? '' : code(record.request_id)),
  },
  { title: 'Place', cell: ({ chain, sequence }: ListedRecord) => `${chain} ${sequence}` },
]

function whoOf({ record }: ListedRecord): Markup | string {
  if (record.spiffe_id !== undefined) return code(record.spiffe_id)
  return record.authenticator ?? ''
}
