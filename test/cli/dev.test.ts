import { execFile } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test, vi } from 'vitest'
import { freePort, mainFile, makeFolder, runCli, startCli } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const run = promisify(execFile)

test.concurrent('from an empty folder, each printed command works as it is pasted', async () => {
  using folder = makeFolder()
  // As in another terminal: without what npm puts into the path of this one.
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin' }
  const dev = startCli(['dev', '--port', '0', '--log-format', 'text'], { cwd: folder.path, env })
  try {
    await dev.until('stdout', /'; echo\n$/)
    const welcome = dev.stdout()
    const [variables, ...commands] = [...welcome.matchAll(/^# .*\n((?:.+\n)+)/gm)].map(([, command = '']) => command)
    expect(commands).toHaveLength(6)
    for (const command of commands.slice(0, 4)) expect(command).toContain(`node ${mainFile} `)
    expect(dev.stderr()).not.toContain('WARN')

    const answers: string[] = []
    for (const command of commands)
      answers.push((await run('sh', ['-c', `${variables}${command}`], { cwd: '/', env })).stdout)
    const [identities, jwt, x509, records, keys, plain] = answers
    expect(identities).toContain('spiffe://dev.local/dev/demo')
    expect(jwt).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/)
    expect(x509).toContain('spiffe://dev.local/dev/demo')
    expect(records).toMatch(/granted +x509_svid +spiffe:\/\/dev\.local\/dev\/demo/)
    expect(JSON.parse(plain ?? '')).toMatchObject({ spiffe_id: 'spiffe://dev.local/dev/demo' })
    const { kid } = JSON.parse(Buffer.from((jwt ?? '').split('.')[0] ?? '', 'base64url').toString())
    expect(JSON.parse(keys ?? '').keys).toContainEqual(expect.objectContaining({ kid }))

    const at = (name: string) => folder.file(`.apostille/${name}`)
    const token = readFileSync(at('token'), 'utf8').trim()
    expect(statSync(at('token')).mode & 0o777).toBe(0o600)
    expect(statSync(at('ca.pem')).mode & 0o777).toBe(0o644)
    expect(welcome + dev.stderr()).not.toContain(token)
    expect(welcome + dev.stderr()).not.toContain((jwt ?? '').trim())
  } finally {
    expect(await dev.stop('SIGINT')).toBe(0)
  }
  const refused = await runCli(['serve', '--config', folder.file('.apostille/apostille.yaml'), '--output', 'json'])
  expect(refused.code).toBe(1)
  expect(JSON.parse(refused.stderr.trimEnd().split('\n').at(-1) ?? '').error.code).toBe('store')
})

test.concurrent('a second start keeps the configuration and makes another token; another port is taken over', async () => {
  using folder = makeFolder()
  const once = async (...args: readonly string[]) => {
    const dev = startCli(['dev', '--dir', folder.file('d'), '--output', 'json', ...args])
    await dev.until('stdout', /\n\}\n$/)
    await dev.stop()
    return { ...JSON.parse(dev.stdout()), token: readFileSync(folder.file('d/token'), 'utf8') }
  }
  const first = await once('--port', '0')
  const second = await once('--port', '0')
  expect(second.server).toBe(first.server)
  expect(second.token).not.toBe(first.token)
  expect(second).toMatchObject({
    trust_domain: 'dev.local',
    config: folder.file('d/apostille.yaml'),
    ca_file: folder.file('d/ca.pem'),
    token_file: folder.file('d/token'),
    commands: expect.arrayContaining([{ title: 'Get a JWT-SVID', command: expect.stringContaining('svid jwt') }]),
  })
  const port = await freePort()
  expect((await once('--port', String(port))).server).toBe(`https://localhost:${port}`)
})

test.concurrent.each([
  ['listens elsewhere than on loopback', '127.0.0.1', '0.0.0.0', [], 'loopback only'],
  ['was edited, for another port', 'name: web', 'name: website', ['--port', '1234'], 'was edited'],
])('a configuration that %s is refused', async (_, from, to, args, told) => {
  using folder = makeFolder()
  const { devDocument } = await import('../../src/runtime/dev.node.ts')
  folder.write('apostille.yaml', devDocument(8443).replaceAll(from, to))
  const { code, stderr } = await runCli(['dev', '--dir', folder.path, ...args])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: /)
  expect(stderr).toContain(told)
})

test.concurrent('a folder too deep for a socket is told of', async () => {
  using folder = makeFolder()
  const { code, stderr } = await runCli(['dev', '--port', '0', '--dir', folder.file('a'.repeat(120))])
  expect(code).toBe(1)
  expect(stderr).toContain('choose a shorter folder with --dir')
})
