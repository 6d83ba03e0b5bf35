import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { expect, test, vi } from 'vitest'
import { makeFolder, runCli } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000 })

const common = ['--trust-domain', 'example.org', '--issuer', 'https://id.example.org']

test('what it writes is good, names a schema that is there, and is never overwritten', async () => {
  using folder = makeFolder()
  const file = folder.file('apostille.yaml')
  const args = [
    'init',
    '--for',
    'vm',
    '--for',
    'github',
    '--github-repository',
    'acme/web',
    ...common,
    '--config',
    file,
  ]
  const made = await runCli([...args, '--output', 'json'])
  expect([made.code, made.stderr]).toEqual([0, ''])
  expect(JSON.parse(made.stdout)).toEqual({
    file,
    trust_domain: 'example.org',
    issuer: 'https://id.example.org',
    for: ['vm', 'github'],
    // A join token is made by a gateway that runs.
    next: ['check', 'serve', 'join-token create', 'id-token: write', 'doctor'].map((step) =>
      expect.stringContaining(step),
    ),
  })
  expect(made.stdout).toMatch(/check --config .*apostille\.yaml`/)
  const text = readFileSync(file, 'utf8')
  const schema = /^# yaml-language-server: \$schema=(.+)$/m.exec(text)?.[1] ?? ''
  expect(JSON.parse(readFileSync(resolve(dirname(file), schema), 'utf8')).title).toBe('Configuration of Apostille')
  expect(statSync(file).mode & 0o777).toBe(0o644)
  expect(await runCli(['check', file])).toMatchObject({ code: 0, stdout: expect.stringContaining('is good') })

  const again = await runCli([...args.with(2, 'kubernetes'), '--kubernetes-issuer', 'https://oidc.example'])
  expect(again).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('is not overwritten') })
  expect(readFileSync(file, 'utf8')).toBe(text)
})

test.each([
  [
    'nothing',
    [],
    'error: --trust-domain, --issuer, --for are missing: there is no terminal to ask on\nGive --trust-domain',
  ],
  ['no workloads', common, 'error: --for is missing'],
  [
    'no answers for several that were chosen',
    [...common, '--for', 'spire', '--for', 'github'],
    '--spire-trust-domain, --spire-endpoint, --github-repository are missing',
  ],
  ['workloads of another kind', [...common, '--for', 'mainframe'], 'there is no "mainframe" for --for'],
  ['no trust domain', ['--for', 'vm', ...common.slice(2)], '--trust-domain is missing: there is no terminal'],
  ['no answer for what was chosen', [...common, '--for', 'github'], '--github-repository is missing'],
  ['an answer that is none', [...common, '--for', 'github', '--github-repository', 'web'], 'expected OWNER/NAME'],
  ['half a certificate', [...common, '--for', 'vm', '--tls-key', 'x'], 'go together'],
  ['what only the whole finds out', [...common, '--for', 'vm', '--listen', 'nowhere'], 'listen.address: expected'],
])('%s is wrong usage where nobody can be asked', async (_, args, told) => {
  using folder = makeFolder()
  const { code, stdout, stderr } = await runCli(['init', ...args], { cwd: folder.path })
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(told)
})

test('a folder that is not there is said', async () => {
  using folder = makeFolder()
  const args = ['init', '--for', 'vm', ...common, '--config', folder.file('etc/apostille.yaml')]
  expect(await runCli(args)).toMatchObject({ code: 1, stderr: expect.stringContaining('its folder is not there') })
})
