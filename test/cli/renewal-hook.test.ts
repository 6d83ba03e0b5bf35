import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import type { CliError } from '../../src/cli/cli-error.ts'
import { createHookRunner, type HookOptions, runHooks } from '../../src/cli/renewal-hook.ts'
import { makeFolder } from './run-cli.ts'

const folder = makeFolder()
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
process.once('exit', folder.remove)

async function run(options: Partial<HookOptions>): Promise<readonly CliError[]> {
  const failures: CliError[] = []
  await runHooks({ signalName: 'SIGHUP', ...options }, (error) => failures.push(error))
  return failures
}

async function sleeper(command = 'sleep'): Promise<ChildProcess> {
  const child = spawn(command, ['60'], { stdio: 'ignore' })
  children.push(child)
  await once(child, 'spawn')
  return child
}

test('commands run in a shell, one after another', async () => {
  const file = folder.file('ran')
  expect(await run({ exec: [`printf a > '${file}'`, `test -s '${file}' && rm '${file}'`] })).toEqual([])
  expect(existsSync(file)).toBe(false)
})

test('a command that fails is told, and the next one runs', async () => {
  const file = folder.file('after')
  expect(await run({ exec: ['exit 3', `printf a > '${file}'`] })).toMatchObject([
    { code: 'command', message: '--exec: exit 3: ended with 3' },
  ])
  expect(existsSync(file)).toBe(true)
})

test('a process gets the signal, by its number and by a file that holds it', async () => {
  for (const nameOf of [(pid: number) => String(pid), (pid: number) => folder.write('pid', `${pid}\n`)]) {
    const child = await sleeper()
    const ended = once(child, 'exit')
    expect(await run({ signal: [nameOf(child.pid ?? 0)], signalName: 'SIGUSR1' })).toEqual([])
    expect(await ended).toEqual([null, 'SIGUSR1'])
  }
})

test('all processes of a name get the signal', async () => {
  const program = folder.file('apo-hook-sleeper-1')
  copyFileSync('/bin/sleep', program)
  const sleepers = await Promise.all([sleeper(program), sleeper(program), sleeper()])
  const ended = Promise.all(sleepers.slice(0, 2).map((child) => once(child, 'exit')))
  expect(await run({ signal: ['apo-hook-sleeper-1'] })).toEqual([])
  expect(await ended).toEqual([
    [null, 'SIGHUP'],
    [null, 'SIGHUP'],
  ])
  expect(sleepers[2]?.exitCode ?? sleepers[2]?.signalCode).toBeNull()
})

test.each([
  ['no process of a name', 'apo-nobody-is-called-so', 'no process is called apo-nobody-is-called-so'],
  ['a number that nobody has', '2147483646', 'process 2147483646: there is no such process'],
  ['a file that is not there', '/nowhere/pid', '/nowhere/pid can not be read (ENOENT)'],
  ['a file without a number', folder.write('no-pid', 'nginx'), 'holds no PID'],
  ['a file with the number 0, which would be everybody', folder.write('zero', '0'), 'holds no PID'],
])('%s is told', async (_, signal, message) => {
  expect(await run({ signal: [signal] })).toMatchObject([
    { code: 'command', message: expect.stringContaining(`${message}`) },
  ])
})

test('nobody waits for a command, and calls while one runs come to one run after it', async () => {
  const [go, ran] = [folder.file('go'), folder.file('ran-again')]
  const failures: CliError[] = []
  const line = `printf x >> '${ran}'; until [ -e '${go}' ]; do sleep 0.02; done; exit 5`
  const follow = createHookRunner({ exec: [line], signalName: 'SIGHUP' }, (error) => failures.push(error))
  for (let call = 0; call < 4; call++) {
    follow()
    await expect.poll(() => existsSync(ran) && readFileSync(ran, 'utf8')).toBe('x')
  }
  expect(failures).toEqual([])
  writeFileSync(go, '')
  await expect.poll(() => failures.length, { timeout: 10_000 }).toBe(2)
  expect(readFileSync(ran, 'utf8')).toBe('xx')
})
