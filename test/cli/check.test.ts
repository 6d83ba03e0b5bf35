import { expect, test, vi } from 'vitest'
import { makeFolder, runCli, testConfiguration } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

test.concurrent('a good document ends with 0', async () => {
  using folder = makeFolder()
  const file = folder.write('apostille.yaml', testConfiguration)
  expect(await runCli(['check'], { cwd: folder.path })).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(/^\.\/apostille\.yaml is good \(document [0-9a-f]{12}\)\n$/),
  })
  const { stdout } = await runCli(['check', '--output', 'json'], { env: { APOSTILLE_CONFIG: file } })
  expect(JSON.parse(stdout)).toEqual({
    ok: true,
    file,
    document: expect.stringMatching(/^[0-9a-f]{64}$/),
    diagnostics: [],
  })
})

test.concurrent('every mistake is shown with its place, its line and a caret', async () => {
  using folder = makeFolder()
  const file = folder.write(
    'broken.yaml',
    testConfiguration.replace('from: first', 'from: frist').replace('dns_names:', 'dns_nams:'),
  )
  const { code, stdout, stderr } = await runCli(['check', file])
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
  expect(stdout).toContain(`${file}:18:5: error: identities[0].dns_nams: unknown key`)
  expect(stdout).toContain("\n 18 |     dns_nams: ['${proof.name}.example.org']\n    |     ^")
})

test.concurrent('a dangling reference is a mistake, as JSON too', async () => {
  using folder = makeFolder()
  const file = folder.write('broken.yaml', testConfiguration.replace('from: first', 'from: frist'))
  const { code, stdout } = await runCli(['check', '--output', 'json', file])
  expect(code).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({
    ok: false,
    document: null,
    diagnostics: [{ severity: 'error', line: 16, column: 11, path: 'identities[0].from' }],
  })
})

test.concurrent('files that are not there are warnings', async () => {
  using folder = makeFolder()
  const document = testConfiguration.replace(
    '127.0.0.1:0 }',
    '127.0.0.1:0, tls: { certificate: ./tls.pem, key: ./tls.key } }',
  )
  folder.write('tls.key', 'here')
  const target = `{ type: aws, role_arn: 'arn:aws:iam::123456789012:role/x', region: eu-west-1, ca_file: ./sts.pem }`
  const syncs = `sources:
  team: { type: vault, address: 'https://vault.example', role: r, audience: a, ca_file: ./vault.pem }
destinations: { aws: { type: aws-secrets-manager, target: s3, ca_file: ./store.pem } }
syncs: { one: { source: team, paths: ['*'], destinations: [aws] } }
`
  const file = folder.write('apostille.yaml', `${document}targets:\n  s3: ${target}\n${syncs}`)
  const { code, stdout } = await runCli(['check', '--output', 'json', file])
  expect(code).toBe(0)
  expect(JSON.parse(stdout).diagnostics).toMatchObject([
    { severity: 'warning', line: 4, column: 53, path: 'listen.tls.certificate', message: './tls.pem is not there' },
    { severity: 'warning', path: 'targets.s3.ca_file', message: './sts.pem is not there' },
    { severity: 'warning', path: 'sources.team.ca_file', message: './vault.pem is not there' },
    { severity: 'warning', path: 'destinations.aws.ca_file', message: './store.pem is not there' },
  ])
})

test.concurrent('a store whose seal key is gone is told of', async () => {
  using folder = makeFolder()
  folder.write('apostille.db', '')
  const { stdout } = await runCli(['check', folder.write('apostille.yaml', testConfiguration)])
  expect(stdout).toContain('warning: seal.file: ./seal.key is not there, and the store is')
})

test.concurrent('no document at all', async () => {
  expect(await runCli(['check', '/nowhere/apostille.yaml'])).toEqual({
    code: 1,
    stdout: '',
    stderr: 'error: there is no configuration at /nowhere/apostille.yaml: name one with --config FILE\n',
  })
})
