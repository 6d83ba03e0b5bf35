import { once } from 'node:events'
import { createServer } from 'node:http'
import { request } from 'node:https'
import { DatabaseSync } from 'node:sqlite'
import { expect, test, vi } from 'vitest'
import { makeFolder, runCli, startCli, startGateway, testConfiguration } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

test.concurrent('serves until it is told to stop, and its log holds no token', async () => {
  const gateway = await startGateway()
  const token = await gateway.makeToken('--name', 'web-1', '--uses', '9')
  const env = { APOSTILLE_SERVER: gateway.url, APOSTILLE_CA_FILE: gateway.caFile }
  const ask = ['svid', 'jwt', '--token-file', '-', '--audience']
  const granted = await runCli([...ask, 'https://api.example.org'], { env, input: token })
  expect(granted.code).toBe(0)
  const spoilt = `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`
  expect((await runCli([...ask, 'https://api.example.org'], { env, input: spoilt })).code).toBe(1)

  gateway.folder.write('apostille.yaml', `${testConfiguration}limits: { refusals: 7 }\n`)
  gateway.running.child.kill('SIGHUP')
  await gateway.running.until('stderr', 'configuration reloaded')
  expect(await gateway.running.stop('SIGTERM')).toBe(0)
  const log = gateway.running.stderr()
  expect(log).toContain('"path":"/v1/svid/jwt"')
  expect(log).toContain('"message":"stopped"')
  for (const secret of [token, spoilt, granted.stdout.trim()]) expect(log).not.toContain(secret.slice(10))
  for (const line of log.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('level')

  const { code, stderr } = await runCli(['records', 'list', '--config', gateway.config])
  expect(code).toBe(1)
  expect(stderr).toMatch(
    /^error: the gateway is not running: nothing listens on .*admin\.sock\nStart it with: .* serve --config /,
  )
  gateway.folder.remove()
})

test.concurrent('a second signal does not wait for a request that is under way', async () => {
  const gateway = await startGateway()
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': 9, expect: '100-continue' }
  const unfinished = request(`${gateway.url}/token`, {
    method: 'POST',
    headers,
    rejectUnauthorized: false,
    agent: false,
  })
  unfinished.on('error', () => undefined).flushHeaders()
  await once(unfinished, 'continue')
  gateway.running.child.kill('SIGINT')
  await gateway.running.until('stderr', '"stopping"')
  expect(await gateway.running.stop('SIGTERM')).toBe(1)
  expect(gateway.running.stderr()).toContain('stopped at once')
  gateway.folder.remove()
})

test.concurrent('the flags of the log win over its variables', async () => {
  using folder = makeFolder()
  const config = folder.write('apostille.yaml', testConfiguration)
  const args = ['serve', '--config', config, '--output', 'json']
  const env = { APOSTILLE_LOG_FORMAT: 'text', APOSTILLE_LOG_LEVEL: 'error' }
  const running = startCli([...args, '--log-level', 'info'], { env })
  await running.until('stderr', /^\S+ INFO +ready trust_domain=example\.org/m)
  await running.stop()
  const wrong = await runCli(args, { env: { APOSTILLE_LOG_LEVEL: 'loud' } })
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('debug, info, warning, error') })
})

test.concurrent('a configuration with mistakes is shown with all of them', async () => {
  using folder = makeFolder()
  const document = testConfiguration
    .replace('from: first', 'from: frist')
    .replace("['https://api", "['https://localhost', 'https://api")
  const config = folder.write('apostille.yaml', document)
  const text = await runCli(['serve', '--config', config])
  expect(text).toMatchObject({ code: 1, stdout: '' })
  expect(text.stderr).toContain(`${config}:16:11: error: identities[0].from: `)
  expect(text.stderr).toContain('\n 16 |     from: frist\n')
  expect(text.stderr).toMatch(/error: the configuration has \d+ errors?\n$/)
  const json = await runCli(['serve', '--config', config, '--output', 'json'])
  expect(JSON.parse(json.stderr).error).toMatchObject({ code: 'configuration', diagnostics: [{ line: 16 }] })
})

type Arrange = (folder: ReturnType<typeof makeFolder>) => Promise<(() => void) | undefined> | undefined

function write(folder: ReturnType<typeof makeFolder>, name: string, content: string): undefined {
  folder.write(name, content)
}

const sealKey = `${Buffer.alloc(32, 1).toString('base64')}\n`

async function startOnce(folder: ReturnType<typeof makeFolder>): Promise<void> {
  const running = startCli(['serve', '--config', folder.file('apostille.yaml'), '--output', 'json'])
  await running.until('stdout', '}')
  await running.stop()
}

const failures: readonly (readonly [string, string, string, Arrange])[] = [
  [
    'another seal key',
    'seal_key',
    'seal',
    async (folder) => {
      await startOnce(folder)
      return write(folder, 'seal.key', sealKey)
    },
  ],
  [
    'a database of a newer program',
    'store',
    'run the newer program',
    async (folder) => {
      await startOnce(folder)
      const db = new DatabaseSync(folder.file('apostille.db'))
      db.exec('PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)')
      db.close()
      return undefined
    },
  ],
  [
    'a file that is no database',
    'store',
    'is not an SQLite database',
    (folder) => write(folder, 'apostille.db', 'hello'),
  ],
  ['a seal key that is none', 'seal_key', 'openssl rand', (folder) => write(folder, 'seal.key', 'short')],
  [
    'a database that is in use',
    'store',
    'is in use',
    async (folder) => {
      const running = startCli(['serve', '--config', folder.file('apostille.yaml'), '--output', 'json'])
      await running.until('stdout', '}')
      return () => void running.stop()
    },
  ],
  [
    'a port that is in use',
    'listen',
    'another process listens there',
    async (folder) => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as { readonly port: number }
      folder.write('apostille.yaml', testConfiguration.replace('127.0.0.1:0', `127.0.0.1:${port}`))
      return () => void server.close()
    },
  ],
  [
    'a certificate that is not there',
    'file',
    'tls.pem (ENOENT)',
    (folder) =>
      write(
        folder,
        'apostille.yaml',
        testConfiguration.replace('127.0.0.1:0 }', '127.0.0.1:0, tls: { certificate: tls.pem, key: tls.key } }'),
      ),
  ],
]

test.concurrent.each(failures)('%s is told in words, without a stack', async (_, errorCode, told, arrange) => {
  using folder = makeFolder()
  folder.write('apostille.yaml', testConfiguration)
  const undo = await arrange(folder)
  const { code, stdout, stderr } = await runCli([
    'serve',
    '--config',
    folder.file('apostille.yaml'),
    '--output',
    'json',
  ])
  undo?.()
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  const last = stderr.trimEnd().split('\n').at(-1) ?? ''
  expect(JSON.parse(last).error).toMatchObject({ code: errorCode, message: expect.stringContaining(told) })
  expect(stderr).not.toMatch(/\n\s+at /)
})

test.concurrent('an exception that nothing caught ends the process, and is logged without its message', async () => {
  using folder = makeFolder()
  const config = folder.write('apostille.yaml', testConfiguration)
  const bug = `data:text/javascript,process.on('SIGUSR2',()=>{Promise.reject(new Error('sec'+'ret-1'));setImmediate(()=>{throw new TypeError('sec'+'ret-2')})})`
  const running = startCli(['serve', '--config', config, '--output', 'json'], { nodeArgs: ['--import', bug] })
  await running.until('stdout', '}')
  expect(await running.stop('SIGUSR2')).toBe(1)
  const bugs = running
    .stderr()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ message }) => message.includes('bug'))
  expect(bugs).toMatchObject([{ error: 'Error', stack: expect.stringContaining('at ') }, { error: 'TypeError' }])
  expect(running.stderr()).not.toContain('secret')
})
