/**
 * Runs a script with commands that do nothing but keep what they were given.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface RanCommand {
  readonly name: string
  readonly args: readonly string[]
  /** The value after a flag, or after its `=`. */
  readonly flag: (name: string) => string | undefined
}

export interface RanScript {
  readonly commands: readonly RanCommand[]
  /** A file that the script wrote, or what a process of it wrote to a pipe. */
  readonly file: (name: string) => string
  readonly remove: () => void
}

/** Ends in an argument with a NUL byte of its own, as no argument holds one. */
const stub = `#!/bin/sh
{ printf '%s\\0' "$(basename "$0")" "$@"; printf '\\n\\0'; } >> "$STUB_LOG"
case "$*" in *' list '*) echo found ;; esac
`

/** @throws where the shell finds a mistake, or a command is none of `names` */
export function runScript(script: string, names: readonly string[]): RanScript {
  const folder = mkdtempSync(join(tmpdir(), 'script-'))
  for (const name of names) {
    writeFileSync(join(folder, name), stub)
    chmodSync(join(folder, name), 0o755)
  }
  const log = join(folder, '.log')
  writeFileSync(log, '')
  const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}`, STUB_LOG: log, HOME: folder, LC_ALL: 'C.UTF-8' }
  const parsed = spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' })
  const ran = spawnSync('bash', ['-euo', 'pipefail', '-s'], { input: script, cwd: folder, env, encoding: 'utf8' })
  if (parsed.status !== 0 || ran.status !== 0 || ran.stdout + ran.stderr !== '')
    throw new Error(`${parsed.stderr}${ran.stdout}${ran.stderr}`)
  return {
    commands: readFileSync(log, 'utf8').split('\0\n\0').filter(Boolean).map(readCommand),
    file: (name) => readFileSync(join(folder, name), 'utf8'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function readCommand(line: string): RanCommand {
  const [name = '', ...args] = line.split('\0')
  return {
    name,
    args,
    flag(wanted) {
      const at = args.indexOf(wanted)
      return at >= 0 ? args[at + 1] : args.find((arg) => arg.startsWith(`${wanted}=`))?.slice(wanted.length + 1)
    },
  }
}
