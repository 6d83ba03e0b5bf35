import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { run } from './support/command.ts'
import { buildDeadlineMs, part } from './support/parts.ts'

const stack = cleanupAfterAll()
const fuzzDeadlineMs = 10 * 60_000
const schema = (name: string) => join(import.meta.dirname, '../../schema', name)

let schemathesis: string
let gateway: TestGateway
beforeAll(async () => {
  const python = await part('python-environment.sh', 'test/interop/python/schemathesis.txt')
  // Its own scripts name the folder in which it was built.
  schemathesis = join(python, 'bin/python')
  gateway = await startGateway({
    document: {
      listen: { address: '127.0.0.1:0', tls: 'off' },
      policies: [{ permit: ['read', 'write'] }],
      limits: { refusals: 1_000_000 },
    },
  })
  stack.use(gateway)
}, buildDeadlineMs)

/** What it is told besides the document. It uses a token wherever the document asks for one, and sees what happens without. */
async function writeSettings(): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const token = gateway.issuer.token({ sub: 'build', iat: now, exp: now + 3600 })
  const file = join(gateway.folder, 'schemathesis.toml')
  await writeFile(
    file,
    `
[auth.openapi.bearer]
bearer = "${token}"

# What a rule gives, and whether a certificate request is one, no schema says.
[checks.positive_data_acceptance]
enabled = false

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 431]

# So that what is written is read, deleted and restored.
[[operations]]
include-path-regex = "^/v1/kv/"
parameters = { path = ["db", "cache"] }
# OpenAPI 3.1 has no word for the method LIST, which is allowed there.
checks = { allow_header_conformance = { enabled = false } }
`,
  )
  return file
}

/** It speaks no unix sockets. */
async function bridge(path: string): Promise<string> {
  const server = createServer((near) => {
    const far = connect(path)
    near.pipe(far).pipe(near)
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function fuzz(document: string, url: string) {
  const settings = await writeSettings()
  const { code, stdout, stderr } = await run(
    schemathesis,
    [
      ...['-m', 'schemathesis.cli', '--config-file', settings, 'run', schema(document), '--url', url],
      ...['--max-examples', '15', '--seed', '8', '--warnings', 'off'],
    ],
    { cwd: gateway.folder, deadlineMs: fuzzDeadlineMs, env: { NO_COLOR: '1' } },
  )
  const failures = stdout.slice(stdout.indexOf('= FAILURES ='))
  const tested = /Tested: (\d+)\/?\d*$/m.exec(stdout)?.[1]
  return { code, tested, said: code === 0 ? '' : `${failures}\n${stderr}` }
}

/** Every operation was tried, and nothing was found. */
function wholly(document: string) {
  const operations = readFileSync(schema(document), 'utf8').match(/"operationId"/g) ?? []
  return { code: 0, tested: String(operations.length), said: '' }
}

test(
  'Schemathesis finds no 5xx and no answer that is not described in the public API',
  async () => {
    const { address } = gateway.target
    if (address.kind === 'unix') throw new Error('it listens on TCP')
    expect(await fuzz('openapi.json', `http://127.0.0.1:${address.port}`)).toEqual(wholly('openapi.json'))
  },
  fuzzDeadlineMs,
)

test(
  'nor in the admin API',
  async () => {
    const { admin } = gateway.server.addresses
    if (admin.kind !== 'unix') throw new Error('it listens on a unix socket')
    expect(await fuzz('openapi-admin.json', await bridge(admin.path))).toEqual(wholly('openapi-admin.json'))
    expect(gateway.log.filter(({ message }) => message.includes('failed unexpectedly'))).toEqual([])
  },
  fuzzDeadlineMs,
)
