/**
 * `apostille doctor`
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { type Check, createDoctorDeps, type Diagnosis, type Verdict } from '../../runtime/doctor.node.ts'
import { diagnoseInstallation } from '../../runtime/installation-chain.node.ts'
import { diagnoseTarget } from '../../runtime/target-chain.node.ts'
import { CliError, usageError } from '../cli-error.ts'
import { asTyped } from '../invocation.ts'
import { act, configOption, examples, type OperatorOptions, withOutput } from '../options.ts'
import { oneLine, style } from '../output.ts'

interface DoctorOptions extends OperatorOptions {
  readonly target?: string
  readonly as?: string
  readonly caFile?: string
}

export function define(command: Command): void {
  command
    .description(
      'Find the link that fails, and what to do about it: Node, configuration, the running gateway, modes of files, seal key, disk, the issuers of proofs and their keys, clocks, certificate, and what a cloud sees of our issuer. With --target the way to one credential instead: configuration, issuer, discovery document, keys, algorithm, identity, clocks, and the exchange itself, which the running gateway tries; the credential is thrown away. Ends with 1 when a link fails; warnings are none.',
    )
    .option(
      '--target <name>',
      'look at the way to the credential of this target (default: at the installation as a whole)',
    )
    .option(
      '--as <id>',
      'with --target: whose exchange to try, a path or SPIFFE ID (default: the one that the target or its policies name)',
    )
    .addOption(
      new Option(
        '--ca-file <file>',
        'PEM of the authorities of a set-up without the internet (default: the public ones, as clouds trust them)',
      ),
    )
  withOutput(command.addOption(configOption()))
  examples(
    command,
    'doctor',
    'doctor --target payments-s3',
    'doctor --target payments-s3 --as /ns/payments/sa/api --output json',
  )
  act<DoctorOptions>(command, async (output, options) => {
    const diagnosis = await diagnose(options)
    output.result(diagnosis, () => formatDiagnosis(diagnosis))
    if (!diagnosis.ok) process.exitCode = 1
  })
}

async function diagnose({ config: configFile, target, as, caFile }: DoctorOptions) {
  if (target === undefined && as !== undefined)
    throw usageError('--as goes with --target: it says whose exchange to try', 'Give --target NAME.')
  if (caFile !== undefined) await requireReadable(caFile)
  const deps = await createDoctorDeps({ configFile, ...(caFile !== undefined && { caFile }) })
  const isPrivate = caFile !== undefined
  try {
    if (target === undefined) {
      const request = { configFile, isPrivate, env: process.env, nodeVersion: process.versions.node }
      return { target: null, ...(await diagnoseInstallation(request, deps)) }
    }
    const request = { configFile, target, isPrivate, ...(as !== undefined && { as }) }
    return { target, ...(await diagnoseTarget(request, deps)) }
  } finally {
    await deps.view.client.close()
  }
}

async function requireReadable(file: string): Promise<void> {
  try {
    await readFile(file)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new CliError(`${file} can not be read: ${code}`, {
      code: 'file',
      hint: 'Name another with --ca-file.',
      cause,
    })
  }
}

const colours = { pass: 'green', warn: 'yellow', fail: 'red', skip: 'dim' } as const satisfies Record<Verdict, string>
const words: Readonly<Record<Verdict, string>> = { pass: 'ok', warn: 'warning', fail: 'FAILS', skip: 'skipped' }

function formatDiagnosis({ checks }: Diagnosis): string {
  return checks.map(formatCheck).join('\n')
}

const nameWidth = 15
const verdictWidth = 9

function formatCheck({ name, verdict, seen, findings }: Check, index: number): string {
  const word = style(process.stdout, colours[verdict], words[verdict].padEnd(verdictWidth))
  const lines = findings.flatMap(({ message, remedy }) => [`     ${message}`, `     → ${asTyped(remedy)}`])
  return [
    `${String(index + 1).padEnd(2)} ${name.padEnd(nameWidth)}${word}${oneLine(seen)}`,
    ...lines.map(oneLine),
  ].join('\n')
}
