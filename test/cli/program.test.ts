import { afterEach, expect, test, vi } from 'vitest'
import { currentInvocation } from '../../src/cli/invocation.ts'
import { commands, runProgram } from '../../src/cli/program.ts'
import { type RunResult, runCli } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

/** In this process, as there are many and none of them gets as far as doing anything. */
async function parse(args: readonly string[]): Promise<RunResult> {
  const written = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      written[name] += String(chunk)
      return true
    })
  await runProgram(args)
  const code = Number(process.exitCode ?? 0)
  process.exitCode = undefined
  return { code, ...written }
}

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  process.exitCode = undefined
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error')
})

test('credentials --help has a line for each format', async () => {
  const { stdout } = await parse(['credentials', '--help'])
  expect(stdout).toMatch(/\n\nFormats:\n(?: {2}[a-z-]+ +\S.*\n){7}\n/)
})

test.each(Object.keys(commands))('%s --help says what it does, its flags and an example', async (path) => {
  const { code, stdout, stderr } = await parse([...path.split(' '), '--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain(`Usage: apostille ${path}`)
  expect(stdout).toContain('--output <format>')
  expect(stdout).toContain(`Examples:\n  ${currentInvocation()} ${path}`)
  for (const flag of flagsOf(stdout))
    expect(flag, 'its default, or that there is none').toMatch(
      /default|required|choices|the proof|PEM of the private key|required|do not wait|only the record/,
    )
})

test.each(['svid x509', 'records list', 'serve'])('help %s is the help of that command', async (path) => {
  const { code, stdout } = await parse(['help', ...path.split(' ')])
  expect(code).toBe(0)
  expect(stdout).toContain(`Usage: apostille ${path} [options]`)
  expect(stdout).toContain('Examples:')
})

test('help alone is the help of the program', async () => {
  expect(await parse(['help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Start with:') })
})

test('a flag that another follows in place of its value is told as such', async () => {
  const { code, stderr } = await parse(['svid', 'x509', '--watch', '--out', 'id'])
  expect(code).toBe(2)
  expect(stderr).toContain('--watch has no value, as --out follows: give --watch <dir>\nSee: ')
  expect(stderr).toContain(' svid x509 --help')
})

test('what exec runs has flags of its own', async () => {
  const { stderr } = await parse(['exec', '--server', 'https://localhost:1', '--', 'x', '--target', '--server'])
  expect(stderr).not.toContain('has no value')
})

test('a variable that is empty counts as one that is not set', async () => {
  vi.stubEnv('APOSTILLE_CA_FILE', '').stubEnv('APOSTILLE_TOKEN_FILE', '').stubEnv('APOSTILLE_SERVER', '')
  const { code, stderr } = await parse(['identities'])
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining('--server is missing: give --server <url> or APOSTILLE_SERVER'),
  })
})

/** Each flag of a help text with its description on one line, without --help. */
function flagsOf(help: string): readonly string[] {
  const options = (help.split('Options:\n')[1] ?? '').split('\n\n')[0] ?? ''
  return options
    .replace(/\n {10,}/g, ' ')
    .split('\n')
    .filter((line) => !line.includes('--help'))
}

test('the help of the program names every command', async () => {
  const { code, stdout } = await parse(['--help'])
  expect(code).toBe(0)
  for (const name of new Set(Object.keys(commands).map((path) => path.split(' ')[0])))
    expect(stdout).toContain(`  ${name} `)
})

const server = ['--server', 'https://localhost:1']
const jwt = ['svid', 'jwt', '--audience', 'a', ...server]

test.each([
  ['unknown command', ['srve'], 'Did you mean serve?'],
  ['unknown command of a group', ['records', 'lst'], 'Did you mean list?'],
  ['unknown flag', ['check', '--confg', 'x'], 'Did you mean --config?'],
  ['unknown flag beside missing ones', ['svid', 'jwt', '--audiense', 'x'], 'Did you mean --audience?'],
  ['nothing to explain', ['explain'], 'there is nothing to explain'],
  ['missing argument', ['join-token', 'revoke'], "missing required argument 'id'"],
  ['too many arguments', ['reload', 'now'], 'too many arguments'],
  ['missing flag', ['svid', 'jwt', '--server', 'https://localhost:1'], '--audience is missing'],
  ['missing server', ['identities'], 'APOSTILLE_SERVER'],
  ['no proof', ['identities', '--server', 'https://localhost:1'], '--token-file'],
  ['half a proof', ['identities', '--server', 'https://localhost:1', '--cert-file', 'x'], '--key-file'],
  ['a value that is none', ['records', 'list', '--limit', '0'], 'above 0'],
  ['a choice that is none', ['authority', 'prepare', 'x590'], "error: 'x590' is invalid for argument 'ring'"],
  ['no folder', ['svid', 'x509', ...server], '--out or --watch is missing'],
  ['two folders', ['svid', 'x509', '--out', 'a', '--watch', 'b', ...server], '--out and --watch do not go together'],
  ['two files', [...jwt, '--out', 'a', '--watch', 'b'], '--out and --watch do not go together'],
  ['a hook without a watch', ['svid', 'x509', '--out', 'a', '--exec', 'b', ...server], '--exec and --signal go with'],
  ['a bundle without a watch', ['svid', 'x509', '--out', 'a', '--federated', 'b', ...server], '--federated goes with'],
  ['a signal that is none', ['svid', 'x509', '--signal-name', 'X', ...server], 'the name of a signal'],
  ['a watch without a proof', ['svid', 'x509', '--watch', '/nowhere/a', ...server], '--token-file'],
  ['a watch by a proof that is read once', [...jwt, '--watch', 'a', '--token-file', '-'], 'name a file'],
  ['a watch in another format', [...jwt, '--watch', 'a', '--format', 'google-executable'], 'keeps a token'],
  ['a proof in the clear', ['identities', '--server', 'http://id.example.org'], 'use https'],
])('%s is wrong usage', async (_, args, told) => {
  const { code, stdout, stderr } = await parse(args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(/^error: /)
  expect(stderr).toContain(told)
  expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3)
})

test('errors are JSON where JSON was asked for', async () => {
  for (const args of [
    ['--output', 'json', 'srve'],
    ['records', '--output=json'],
    ['identities', '--output', 'json'],
  ]) {
    const { code, stderr } = await parse(args)
    expect(code).toBe(2)
    expect(JSON.parse(stderr)).toEqual({
      error: expect.objectContaining({ code: 'usage', message: expect.any(String) }),
    })
  }
})

test('the process ends with the exit code', async () => {
  const [none, unknown, version] = await Promise.all([runCli([]), runCli(['srve']), runCli(['--version'])])
  expect(none).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Commands:') })
  expect(unknown).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Did you mean serve?') })
  expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: '' })
})

test.concurrent.each(['20.19.0', '24.14.1'])('on Node %s it says which one is needed, in one line', async (version) => {
  const pretend = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'${version}'})`
  const { code, stdout, stderr } = await runCli(['--help'], { nodeArgs: ['--import', pretend] })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toBe(
    `error: apostille needs Node 24.15 or newer, and this is ${version}: install a newer one from https://nodejs.org\n`,
  )
})
