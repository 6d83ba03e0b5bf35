/** Every command of ours in the documentation is one that the program takes: bash reads it, and the parser of the program. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { CodeBlock } from '../../scripts/docs/markdown.ts'
import { commands, createProgram } from '../../src/cli/program.ts'
import { pages, readPage } from './pages.ts'

/** Keeps what it was given: arguments end in a NUL, and a command in an empty one more. */
const stub = `#!/bin/bash
printf '%s\\0' "$@" '' >> "$COMMAND_LOG"
`

/** Whatever else a page has does nothing here, but for what comes before our command, such as \`sudo\`. */
const prelude = `
command_not_found_handle() {
  [ "$1" = sudo ] || return 0
  while [ $# -gt 0 ] && [ "$1" != apostille ]; do shift; done
  "$@"
}
`

const folder = mkdtempSync(join(tmpdir(), 'apo-docs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

beforeAll(() => {
  writeFileSync(join(folder, 'apostille'), stub)
  chmodSync(join(folder, 'apostille'), 0o755)
  // Pages export them once, for all that follows.
  vi.stubEnv('APOSTILLE_SERVER', 'https://id.example.org')
})

/** Runs a script with no other program than ours, which only keeps its arguments. @throws where bash finds a mistake */
function argumentsOf(script: string): readonly (readonly string[])[] {
  const log = join(folder, 'log')
  writeFileSync(log, '')
  const env = { PATH: folder, COMMAND_LOG: log, HOME: folder }
  const options = { cwd: folder, env, encoding: 'utf8', timeout: 10_000 } as const
  const read = spawnSync('/bin/bash', ['-n'], { ...options, input: script })
  if (read.status !== 0) throw new Error(`${read.stderr}in:\n${script}`)
  spawnSync('/bin/bash', ['-s'], { ...options, input: prelude + script })
  const words = readFileSync(log, 'utf8').split('\0\0').filter(Boolean)
  return words.map((line) => line.replace(/^\0/, '').split('\0'))
}

const shells = new Set(['', 'sh', 'bash'])

/** What of a block a shell reads. */
function scriptOf({ language, text }: CodeBlock): string {
  if (shells.has(language)) return text
  if (language === 'console') return commandsOf(text)
  // Such as \`ExecStart=/usr/local/bin/apostille …\`, and steps of a pipeline.
  const found = [...text.matchAll(/(?<![\w.`-])apostille (?=[a-z]).*/g)].map(([line]) => line)
  return ['yaml', 'ini', 'toml', 'nginx'].includes(language)
    ? found.filter((line) => !/[`'}]/.test(line)).join('\n')
    : ''
}

/** Of a session: lines behind \`$ \`, and those that they go on in. */
function commandsOf(session: string): string {
  return [...session.matchAll(/^\$ ((?:.*\\\n)*.*)$/gm)].map(([, command]) => command).join('\n')
}

/** @throws as the program does that was used wrongly */
async function parse(args: readonly string[]): Promise<void> {
  const program = await createProgram(args, 'json')
  const silence = (command: Command) => {
    command.configureOutput({ writeOut: () => undefined, writeErr: () => undefined, outputError: () => undefined })
    if (command.commands.length === 0) command.action(() => undefined)
    command.commands.forEach(silence)
  }
  silence(program)
  await program.parseAsync(args, { from: 'user' })
}

async function faultsOf(args: readonly string[]): Promise<readonly string[]> {
  try {
    await parse(args)
    return []
  } catch (error) {
    const { code, message } = error as { readonly code: string; readonly message: string }
    return code === 'commander.helpDisplayed' ? [] : [`apostille ${args.join(' ')}: ${message}`]
  }
}

const shown = pages.flatMap((page) => {
  const blocks = readPage(page).blocks.map(scriptOf)
  const scripts = blocks.filter((script) => script.includes('apostille '))
  return scripts.length === 0 ? [] : [[page, scripts] as const]
})

describe('blocks', () => {
  test.each(shown)('of %s hold commands that the program takes', async (_page, scripts) => {
    const calls = scripts.flatMap(argumentsOf)
    const faults = (await Promise.all(calls.map(faultsOf))).flat()
    expect(faults).toEqual([])
  })

  test('are read as bash does', () => {
    expect(
      argumentsOf("apostille kv put a 'b c' \\\n  --json x  # and so on\nsudo -u root apostille check | head"),
    ).toEqual([['kv', 'put', 'a', 'b c', '--json', 'x'], ['check']])
    expect(() => argumentsOf("apostille check 'a")).toThrow('unexpected EOF')
  })

  test('with what is not there are found', async () => {
    expect(await faultsOf(['check', '--nothing'])).toEqual([expect.stringContaining('--nothing')])
    expect(await faultsOf(['svid', 'x5009'])).toEqual([expect.stringContaining('x5009')])
    expect(await faultsOf(['records', 'list', '--limit', 'N'])).toEqual([expect.stringContaining('--limit')])
    expect(await faultsOf(['check', 'apostille.yaml'])).toEqual([])
  })
})

describe('words of a sentence', () => {
  const groups = new Set(Object.keys(commands).map((path) => path.split(' ')[0] ?? ''))

  /** Names of commands and flags; arguments may be placeholders there. */
  async function faultOf(words: string): Promise<string | undefined> {
    const [first = '', second = ''] = words.split(' ')
    const path = [`${first} ${second}`, first].find((name) => Object.hasOwn(commands, name))
    const isGroup = groups.has(first) && !Object.hasOwn(commands, first)
    if (path === undefined) return isGroup && (second === '' || second === '…') ? undefined : `there is no ${words}`
    const program = await createProgram(path.split(' '), 'text')
    const command = path
      .split(' ')
      .reduce<Command | undefined>((at, name) => at?.commands.find((one) => one.name() === name), program)
    const flags = words.split(' -- ')[0]?.match(/(?<=\s)--[a-z][\w-]*/g) ?? []
    const unknown = flags.filter(
      (flag) =>
        flag !== '--help' && !command?.options.some(({ long, negate }) => long === flag || (negate && long === flag)),
    )
    return unknown.length === 0 ? undefined : `${path} has no ${unknown.join(', ')}`
  }

  test.each(pages)('of %s name commands and flags that are there', async (page) => {
    const spans = readPage(page).spans.flatMap(
      (span) => /^apostille ([a-z].*)$/s.exec(span.replaceAll('\n', ' '))?.[1] ?? [],
    )
    // Such as `trust aws|azure|gcp TARGET`.
    const faults = await Promise.all(spans.map((words) => faultOf(words.replace(/\|[\w|]+/g, ''))))
    expect(faults.filter((fault) => fault !== undefined)).toEqual([])
  })

  test('that are not there are found', async () => {
    expect(await faultOf('athority list')).toContain('there is no')
    expect(await faultOf('check --nothing')).toBe('check has no --nothing')
    expect(await faultOf('kv')).toBeUndefined()
  })
})
