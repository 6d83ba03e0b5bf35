/**
 * What Apostille has on record, as a table.
 *
 * @module
 */
import type { Gateway, KeptRecord } from './gateway.ts'
import type { Narrator } from './narrator.ts'

const shown = 8

const isCredential = ({ operation }: KeptRecord) => operation.endsWith('_svid') || operation.startsWith('exchange')

/** The first and the last ones where there are many. */
export async function tellRecords(gateway: Gateway, narrator: Narrator): Promise<void> {
  const records = (await gateway.records()).filter(isCredential)
  narrator.say(`Every credential is on record before it leaves, and so is every refusal. There are ${records.length} of
    credentials; an operator reads them with "apostille records list". PROOF BY is the authenticator in apostille.yaml that
    took the proof:`)
  const rows = records.map(({ time, decision, operation, spiffe_id, authenticator }) => [
    time.slice(11, 19),
    decision,
    operation,
    authenticator ?? '-',
    spiffe_id ?? '-',
  ])
  narrator.lines(align(['TIME', 'DECISION', 'OPERATION', 'PROOF BY', 'SPIFFE ID'], abridge(rows)))
  const refused = records.findLast(({ decision }) => decision === 'refused')
  if (refused) narrator.say(`Of a refusal the reason is there, too, which callers are not told: "${refused.reason}".`)
  if (!(await gateway.verifyRecords())) throw new Error('the records do not hold together')
  narrator.check(`The records are a chain, and "apostille records verify" finds none changed and none missing.`)
}

function abridge(rows: readonly (readonly string[])[]): readonly (readonly string[])[] {
  if (rows.length <= shown) return rows
  return [...rows.slice(0, shown / 2), ['…'], ...rows.slice(-shown / 2)]
}

function align(header: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
