import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { runCli, startGateway, testConfiguration } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const planted = 'planted-Value-c0ffee'
let gateway: Awaited<ReturnType<typeof startGateway>>
let env: Record<string, string>

beforeAll(async () => {
  gateway = await startGateway(`${testConfiguration}
policies:
  - { permit: [read, write], when: "identity.path == '/vm/writer' && request.path.startsWith('team/')" }
`)
  env = { APOSTILLE_CONFIG: gateway.config }
})
afterAll(() => gateway?.stop())

const kv = (words: readonly string[], input?: string) =>
  runCli(['kv', ...words], { env, ...(input !== undefined && { input }) })
const json = async (...words: readonly string[]) => JSON.parse((await kv([...words, '--output', 'json'])).stdout)

test('a secret is written from standard input, files and words, and read', async () => {
  const file = gateway.folder.write('tls.key', 'line 1\nline 2\n')
  const put = await kv(['put', 'payments/db', 'password=-', `key=@${file}`, 'user=app=x', 'empty='], planted)
  expect(put).toEqual({ code: 0, stdout: 'Wrote version 1 of payments/db\n', stderr: '' })
  const secret = await json('get', 'payments/db')
  expect(secret).toEqual({
    path: 'payments/db',
    data: { password: planted, key: 'line 1\nline 2\n', user: 'app=x', empty: '' },
    metadata: expect.objectContaining({ version: 1, destroyed: false }),
  })
  const shown = await kv(['get', 'payments/db'])
  expect(shown.stdout).toBe(
    ['KEY       VALUE', `password  ${planted}`, 'key       "line 1\\nline 2\\n"', 'user      app=x', 'empty', ''].join(
      '\n',
    ),
  )
  expect(shown.stderr).toMatch(/^payments\/db, version 1, of \S+ \S+Z \([^)\n]+\)\n/)
})

test('one field is written as it is', async () => {
  const document = { text: 'no line end', list: [1, 'ü'], 'a"b': 'x' }
  expect(await kv(['put', 'fields', '--json', '-'], JSON.stringify(document))).toMatchObject({ code: 0 })
  expect(await kv(['get', 'fields', '--field', 'text'])).toEqual({ code: 0, stdout: 'no line end', stderr: '' })
  expect(await kv(['get', 'fields', '--field', 'list'])).toMatchObject({ stdout: '[1,"ü"]' })
  expect(await json('get', 'fields', '--field', 'text')).toBe('no line end')
  const missing = await kv(['get', 'fields', '--field', 'other'])
  expect(missing).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('Its keys: text, list, a"b') })
})

test('a line end from standard input is kept, and said', async () => {
  const put = await kv(['put', 'ended', 'password=-'], `${planted}\n`)
  expect(put).toMatchObject({ code: 0, stderr: expect.stringMatching(/^password ends in a line end/) })
  expect(put.stderr).not.toContain(planted)
  expect(await kv(['get', 'ended', '--field', 'password'])).toMatchObject({ stdout: `${planted}\n` })
})

test('versions are kept, deleted, brought back, destroyed and removed', async () => {
  for (const value of ['one', 'two', 'three']) await kv(['put', 'versions', `value=${value}`])
  expect(await json('delete', 'versions')).toEqual({ path: 'versions', done: 'delete' })
  expect(await kv(['destroy', 'versions', '--versions', '1'])).toMatchObject({
    stdout: 'Destroyed version 1 of versions\n',
  })
  expect((await kv(['get', 'versions', '--version', '2', '--field', 'value'])).stdout).toBe('two')
  const history = await kv(['history', 'versions'])
  expect(history.stdout).toMatch(/^VERSION +CREATED +STATE\n1 .* destroyed\n2 .* kept\n3 .* deleted \S+ \S+Z \(/)
  expect(history.stdout).toContain('max versions   10\ncheck-and-set  not required\n')
  const gone = await kv(['get', 'versions'])
  expect(gone).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('(not_found)') })
  expect(await kv(['undelete', 'versions', '--versions', '3'])).toMatchObject({
    stdout: 'Brought version 3 of versions back\n',
  })
  expect((await kv(['get', 'versions', '--field', 'value'])).stdout).toBe('three')
  expect(await kv(['delete', 'versions', '--versions', '2,3'])).toMatchObject({
    stdout: 'Deleted version 2, 3 of versions\n',
  })
  expect(await json('history', 'versions')).toMatchObject({
    path: 'versions',
    current_version: 3,
    versions: { 1: { destroyed: true }, 2: { deletion_time: expect.stringMatching(/Z$/) } },
  })
  expect(await kv(['purge', 'versions'])).toMatchObject({ code: 0, stdout: 'Removed versions\n' })
  expect(await kv(['history', 'versions'])).toMatchObject({ code: 1 })
})

test('settings are set, and check-and-set holds', async () => {
  const configured = ['configure', 'set', '--cas-required', 'true', '--max-versions', '2', '--metadata', 'owner=web']
  expect(await json(...configured)).toEqual({
    path: 'set',
    ...{ cas_required: true, max_versions: 2, custom_metadata: { owner: 'web' } },
  })
  expect(await kv(['put', 'set', 'a=1'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--cas: this secret'),
  })
  expect(await json('put', 'set', 'a=1', '--cas', '0')).toMatchObject({ path: 'set', version: 1 })
  const late = await kv(['put', 'set', 'a=1', '--cas', '0', '--output', 'json'])
  expect(late.code).toBe(1)
  expect(JSON.parse(late.stderr).error).toMatchObject({ code: 'conflict', message: expect.stringContaining('is 1') })
  expect((await kv(['history', 'set'])).stdout).toContain('check-and-set  required\nowner          web\n')
})

test('secrets and folders are listed, page by page', async () => {
  for (const path of ['tree/b', 'tree/a', 'tree/c/d']) await kv(['put', path, 'a=1'])
  expect(await kv(['list', 'tree'])).toEqual({ code: 0, stdout: 'a\nb\nc/\n', stderr: '' })
  const page = await kv(['list', 'tree/', '--limit', '2'])
  expect(page).toMatchObject({ stdout: 'a\nb\n', stderr: 'There are more: --after b\n' })
  expect(await json('list', 'tree', '--after', 'b')).toEqual({ keys: ['c/'], next: null })
  expect((await kv(['list'])).stdout.split('\n')).toContain('tree/')
  expect(await kv(['list', 'none'])).toEqual({ code: 0, stdout: '', stderr: 'There are no secrets.\n' })
  expect(await json('list', 'none')).toEqual({ keys: [], next: null })
})

test('what an operator does is on record, without the values', async () => {
  const records = await runCli(['records', 'list', '--operation', 'kv.write', '--output', 'json'], { env })
  const { items } = JSON.parse(records.stdout)
  expect(items.map(({ details }: { readonly details: { readonly path: string } }) => details.path)).toContain(
    'payments/db',
  )
  expect((await runCli(['records', 'export'], { env })).stdout).not.toContain(planted)
  expect(`${gateway.running.stdout()}${gateway.running.stderr()}`).not.toContain(planted)
})

describe('a workload with its proof', () => {
  const workload = async (words: readonly string[], name = 'writer') => {
    const tokenFile = gateway.folder.file('token')
    writeFileSync(tokenFile, await gateway.makeToken('--name', name))
    const flags = ['--server', gateway.url, '--ca-file', gateway.caFile, '--token-file', tokenFile]
    return runCli(['kv', ...words, ...flags])
  }

  test('reads and writes what a policy permits', async () => {
    expect(await workload(['put', 'team/x', 'a=1'])).toMatchObject({ code: 0, stdout: 'Wrote version 1 of team/x\n' })
    expect(await workload(['get', 'team/x', '--field', 'a', '--version', '1'])).toMatchObject({ stdout: '1' })
    expect(await workload(['list', 'team'])).toMatchObject({ code: 0, stdout: 'x\n' })
    const id = ['--spiffe-id', 'spiffe://example.org/vm/writer']
    expect(await workload(['delete', 'team/x', '--versions', '1', ...id])).toMatchObject({ code: 0 })
    expect(await workload(['history', 'team/x', '--output', 'json'])).toMatchObject({
      stdout: expect.stringContaining('"current_version": 1'),
    })
  })

  test.each([
    ['another path', ['get', 'payments/db'], 'writer'],
    ['a list', ['list'], 'writer'],
    ['what is another one’s', ['get', 'team/x'], 'other'],
  ])('is refused %s', async (_, words, name) => {
    const { code, stdout, stderr } = await workload(words, name)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('(not_entitled)')
  })

  test('goes by the server that a variable names, unless a configuration is written out', async () => {
    const variables = { APOSTILLE_SERVER: gateway.url, APOSTILLE_CA_FILE: gateway.caFile }
    const asked = await runCli(['kv', 'get', 'payments/db'], { env: variables })
    expect(asked).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no proof') })
    expect(asked.stderr).toMatch(/\nAPOSTILLE_SERVER is set, so this asks as a workload\. .*--config FILE\n$/)
    const tokenFile = gateway.folder.file('token')
    writeFileSync(tokenFile, await gateway.makeToken('--name', 'writer'))
    const refused = await runCli(['kv', 'get', 'payments/db', '--token-file', tokenFile], { env: variables })
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('as a workload') })
    expect(refused.stderr).toMatch(/request id: [0-9a-f]{24}\n/)
    const operator = await runCli(['kv', 'get', 'payments/db', '--field', 'user', '--config', gateway.config], {
      env: variables,
    })
    expect(operator).toEqual({ code: 0, stdout: 'app=x', stderr: '' })
  })
})

describe('is used wrongly', () => {
  test.each<[string, readonly string[], string]>([
    ['without data', ['put', 'a'], 'there is no data'],
    ['with a word that is no pair', ['put', 'a', planted], 'behind the path is not key=value'],
    ['with an empty key', ['put', 'a', `=${planted}`], 'behind the path is not key=value'],
    ['with a key twice', ['put', 'a', 'b=1', 'b=2'], 'b is given twice'],
    ['with two values from standard input', ['put', 'a', 'b=-', 'c=-'], 'only one value'],
    ['with pairs beside a document', ['put', 'a', 'b=1', '--json', '-'], '--json holds all'],
    ['with a roundabout path', ['get', 'a/../b'], 'expected a path'],
    ['with an absolute path', ['get', '/a'], 'expected a path'],
    ['with a version that is none', ['get', 'a', '--version', '0'], 'expected a whole number'],
    ['with versions that are none', ['destroy', 'a', '--versions', '1,x'], 'expected numbers of versions'],
    ['without versions', ['destroy', 'a'], '--versions is missing'],
    ['with a check-and-set that is none', ['put', 'a', 'b=1', '--cas', '-1'], 'expected the number of a version'],
    ['with nothing to set', ['configure', 'a'], 'there is nothing to set'],
    ['with one input for two', ['put', 'a', 'b=-', '--token-file', '-'], 'either the proof or a value'],
  ])('%s', async (_, words, message) => {
    const { code, stdout, stderr } = await kv(words, 'x')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
    expect(stderr).not.toContain(planted)
  })

  test.each([
    ['a file that is not there', ['put', 'a', 'b=@/nowhere/x'], 'there is no such file'],
    ['a document that is no JSON', ['put', 'a', '--json', '-'], 'holds no JSON object'],
  ])('with %s', async (_, words, message) => {
    const { code, stderr } = await kv(words, planted)
    expect(code).toBe(1)
    expect(stderr).toContain(message)
    expect(stderr).not.toContain(planted)
  })
})
