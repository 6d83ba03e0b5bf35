/**
 * `apostille records verify`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { CliError } from '../cli-error.ts'
import { readTextFile } from '../files.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'

interface VerifyOptions extends OperatorOptions {
  readonly head?: string
}

interface ChainDocument {
  readonly chain: string
  readonly records: number
  readonly first_sequence?: number
  readonly last_sequence?: number
  readonly pruned_up_to?: number
  readonly heads: number
  readonly findings: readonly { readonly kind: string; readonly sequence: number; readonly last?: number }[]
  readonly findings_count: number
}

interface VerificationDocument {
  readonly ok: boolean
  readonly chains: readonly ChainDocument[]
}

export function define(command: Command): void {
  command.description(
    'Look for records that were changed, removed or put in another order. Ends with 1 when there are any. Records that were cut off at the end, with everything that told of them, are found with --head only.',
  )
  withConfig(command).option(
    '--head <file>',
    'a head that was kept elsewhere: an export, of which the last head counts, or one line of it (default: none)',
  )
  examples(command, 'records verify', 'records verify --head /backup/records.jsonl')
  act<VerifyOptions>(command, async (output, options) => {
    const head = options.head === undefined ? undefined : await readHead(options.head)
    const admin = await openAdmin(options)
    const report = await admin.call<VerificationDocument>({
      method: 'POST',
      path: '/v1/records/verify',
      body: { head },
    })
    output.result(report, () => report.chains.map(formatChain).join('\n') || 'There are no records.')
    if (!report.ok) process.exitCode = 1
  })
}

async function readHead(file: string): Promise<unknown> {
  const lines = (await readTextFile(file, 'the head')).split('\n').reverse()
  for (const line of lines) {
    const head = headOf(line)
    if (head !== undefined) return head
  }
  throw new CliError(`${file} holds no head of records`, {
    code: 'file',
    hint: 'Expected is what `records export` writes: its last lines are the heads.',
  })
}

function headOf(line: string): unknown {
  if (!line.includes('"signature"')) return undefined
  try {
    const value = JSON.parse(line) as { readonly head?: unknown }
    return value.head
  } catch {
    return undefined
  }
}

function formatChain(chain: ChainDocument): string {
  const pruned = chain.pruned_up_to === undefined ? '' : `, pruned up to ${chain.pruned_up_to}`
  const scope = `chain ${chain.chain}: ${chain.records} records${spanOf(chain)}, ${chain.heads} signed heads${pruned}`
  if (chain.findings_count === 0) return `${scope}: whole`
  const findings = chain.findings.map(
    ({ kind, sequence, last }) => `  ${kind} at ${sequence}${last === undefined ? '' : ` to ${last}`}`,
  )
  return [`${scope}: ${chain.findings_count} findings`, ...findings].join('\n')
}

function spanOf({ first_sequence: first, last_sequence: last }: ChainDocument): string {
  return first === undefined || last === undefined ? '' : ` (${first} to ${last})`
}
