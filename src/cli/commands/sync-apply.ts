/**
 * `apostille sync apply`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { CliError } from '../cli-error.ts'
import { currentInvocation } from '../invocation.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import {
  askLines,
  type CountsDocument,
  type DestinationDocument,
  formatCounts,
  formatFault,
  type StatusDocument,
  type SyncOptions,
  syncPath,
} from '../sync.ts'

interface ApplyOptions extends OperatorOptions, SyncOptions {
  readonly yes?: true
}

interface ProgressLine {
  readonly destination: string
  readonly progress: CountsDocument
}

interface AppliedLine {
  readonly applied: StatusDocument
}

export function define(command: Command): void {
  command
    .description(
      'Run a sync now, whenever its next run would be. Where more secrets would be deleted than `max_deletions` lets go, they stay until --yes.',
    )
    .argument('<sync>', 'as the configuration names it')
  withConfig(command)
    .option('--destination <name>', 'only this one (default: all)')
    .option('--yes', 'delete what is gone at the source, however much it is (default: up to max_deletions)')
  examples(command, 'sync apply payments', 'sync apply payments --yes')
  act<ApplyOptions>(command, async (output, { destination, yes, ...options }, [name = '']) => {
    const admin = await openAdmin(options)
    const body = { allow_deletions: yes === true, ...(destination !== undefined && { destination }) }
    const progress = createProgress(process.stderr)
    const { applied } = await askLines<ProgressLine, AppliedLine>(
      admin,
      { path: syncPath(name, 'apply'), body },
      isApplied,
      progress.show,
    ).finally(progress.end)
    output.result(applied, () => Object.entries(applied.destinations).map(formatApplied).join('\n'))
    requireSynced(name, Object.values(applied.destinations))
  })
}

function isApplied(line: ProgressLine | AppliedLine): line is AppliedLine {
  return 'applied' in line
}

/** One line that is written over, on a terminal only. */
function createProgress(stream: NodeJS.WriteStream) {
  const counts = new Map<string, CountsDocument>()
  const clear = () => {
    if (stream.isTTY && counts.size > 0) stream.write('\r\x1b[K')
  }
  return {
    show({ destination, progress }: ProgressLine): void {
      clear()
      counts.set(destination, progress)
      const line = [...counts].map(([at, each]) => `${at}: ${formatCounts(each)}`).join(' | ')
      if (stream.isTTY) stream.write(line.slice(0, stream.columns - 1))
    },
    end: clear,
  }
}

function formatApplied([name, { state, counts, problems, error }]: [string, DestinationDocument]): string {
  const said = error === undefined ? formatCounts(counts) : `failed: ${error}`
  const held = state === 'deletions_held' ? '; so many deletions wait for --yes' : ''
  return [`${name}: ${said}${held}`, ...problems.map((problem) => `  ${formatFault(problem)}`)].join('\n')
}

function requireSynced(name: string, destinations: readonly DestinationDocument[]): void {
  const states = new Set(destinations.map(({ state }) => state))
  const start = `${currentInvocation()} sync`
  if (states.has('failed')) throw new CliError('the sync did not come to its end', { code: 'sync_failed' })
  if (states.has('deletions_held'))
    throw new CliError('more secrets would be deleted than may be without a yes', {
      code: 'deletions_held',
      hint: `See which with: ${start} plan ${name}; delete them with: ${start} apply ${name} --yes`,
    })
  if (states.has('incomplete'))
    throw new CliError('some secrets are not as they should be', { code: 'sync_incomplete' })
}
