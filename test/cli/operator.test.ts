import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { mainFile, makeFolder, runCli, startCli, startGateway, testConfiguration } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let gateway: Awaited<ReturnType<typeof startGateway>>
let env: Record<string, string>

beforeAll(async () => {
  gateway = await startGateway()
  env = { APOSTILLE_CONFIG: gateway.config }
})

afterAll(() => gateway?.stop())

test('join tokens are made, listed and revoked', async () => {
  const made = await runCli(
    ['join-token', 'create', 'first', '--uses', '3', '--ttl', '1h', '--name', 'web-1', '--output', 'json'],
    { env },
  )
  const { id, token, ...rest } = JSON.parse(made.stdout)
  expect(token).toMatch(/^apo_join_[0-9A-Za-z]{49}$/)
  expect(rest).toMatchObject({ name: 'web-1', uses: 3, uses_left: 3, authenticator: 'first' })

  const out = gateway.folder.file('join-token')
  const saved = await runCli(['join-token', 'create', 'first', '--attribute', 'role=db', '--out', out], { env })
  expect(saved.stdout).toMatch(/^id +[0-9a-f]{16}\n/)
  expect(readFileSync(out, 'utf8')).toMatch(/^apo_join_[0-9A-Za-z]{49}\n$/)
  expect((statSync(out).mode & 0o777).toString(8)).toBe('600')

  const revoked = await runCli(['join-token', 'revoke', id], { env })
  expect(revoked).toMatchObject({ code: 0, stdout: `Revoked ${id} (web-1)\n` })
  const list = await runCli(['join-token', 'list'], { env })
  expect(list.stdout).toMatch(/^ID +NAME +AUTHENTICATOR +USES LEFT +STATE +EXPIRES\n/)
  expect(list.stdout).toMatch(new RegExp(`^${id} +web-1 +first +3 of 3 +revoked +\\S+ \\S+Z \\(in \\S+`, 'm'))
  expect(list.stdout).not.toContain('apo_join_')
  const page = JSON.parse((await runCli(['join-token', 'list', '--limit', '1', '--output', 'json'], { env })).stdout)
  expect(page).toEqual({ items: [expect.objectContaining({ id: expect.any(String) })], next: page.items[0].id })
})

test.each([
  ['an authenticator that is not there', ['join-token', 'create', 'nobody'], 'malformed_request'],
  ['a join token that is not there', ['join-token', 'revoke', '0000'], 'not_found'],
  ['an authority that is not there', ['authority', 'taint', '0000'], 'not_found'],
  ['a successor that was just published', ['authority', 'activate', 'x509'], 'conflict'],
  ['pruning of the future', ['records', 'prune', '--before', '2999-01-01T00:00:00Z'], 'malformed_request'],
])('%s is refused', async (_, args, errorCode) => {
  const { code, stdout, stderr } = await runCli([...args, '--output', 'json'], { env })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  const { error } = JSON.parse(stderr)
  expect(error).toMatchObject({ code: errorCode, request_id: expect.any(String) })
  if (errorCode === 'conflict') expect(error.hint).toContain('--force')
  const record = await runCli(['records', 'list', '--request-id', error.request_id, '--output', 'json'], { env })
  expect(JSON.parse(record.stdout).items).toMatchObject([{ decision: 'refused', code: errorCode }])
})

test('authorities are listed and changed', async () => {
  const before = JSON.parse((await runCli(['authority', 'list', '--output', 'json'], { env })).stdout)
  expect(before.next).toBeNull()
  const idOf = (list: typeof before, state: string) =>
    list.items.find((item: { ring: string; state: string }) => item.ring === 'x509' && item.state === state)?.id

  const prepared = await runCli(['authority', 'prepare', 'x509'], { env })
  expect(prepared).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f]{40} stands ready in x509: /) })
  expect(prepared.stdout).not.toContain(idOf(before, 'prepared'))
  const activated = await runCli(['authority', 'activate', 'x509', '--force', '--output', 'json'], { env })
  expect(JSON.parse(activated.stdout)).toMatchObject({ ring: 'x509', state: 'active' })
  const old = idOf(before, 'active')
  const signer = JSON.parse(activated.stdout).id
  expect(await runCli(['authority', 'taint', old], { env })).toMatchObject({
    code: 0,
    stdout: `Tainted ${old} of x509; ${signer} signs now\n`,
  })
  expect(await runCli(['authority', 'taint', old], { env })).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      new RegExp(`^${old} of x509 was tainted already, at \\S+ \\S+Z; ${signer} signs now\n$`),
    ),
  })
  const table = (await runCli(['authority', 'list'], { env })).stdout
  expect(table).toMatch(/^RING +STATE +ALGORITHM +ID +SIGNS UNTIL +EXPIRES\n/)
  expect(table).toMatch(new RegExp(`^x509 +retiring, tainted +ES256 +${old}`, 'm'))
  expect(await runCli(['authority', 'revoke', old], { env })).toMatchObject({
    code: 0,
    stdout: `Revoked ${old} of x509; ${signer} signs now\n`,
  })
  expect((await runCli(['authority', 'list'], { env })).stdout).not.toContain(old)
})

test('records are listed, page by page', async () => {
  const all = JSON.parse((await runCli(['records', 'list', '--order', 'oldest', '--output', 'json'], { env })).stdout)
  expect(all.next).toBeNull()
  expect(all.items.length).toBeGreaterThan(2)
  const first = JSON.parse(
    (await runCli(['records', 'list', '--order', 'oldest', '--limit', '1', '--output', 'json'], { env })).stdout,
  )
  const rest = await runCli(['records', 'list', '--order', 'oldest', '--after', first.next, '--output', 'json'], {
    env,
  })
  expect([...first.items, ...JSON.parse(rest.stdout).items].slice(0, all.items.length)).toEqual(all.items)

  const table = await runCli(
    ['records', 'list', '--operation', 'join_token.create', '--decision', 'granted', '--from', '1h'],
    { env },
  )
  expect(table.stdout).toMatch(
    /^TIME +DECISION +OPERATION +SPIFFE ID +REQUEST ID +REASON\n\d{4}-\d\d-\d\d \S+Z +granted +join_token\.create/,
  )
  expect(await runCli(['records', 'list', '--code', 'overloaded'], { env })).toMatchObject({
    code: 0,
    stdout: 'No record fits.\n',
  })
})

test('records are exported, verified against the export, and pruned', async () => {
  const out = gateway.folder.file('records.jsonl')
  expect(await runCli(['records', 'export', '--out', out], { env })).toMatchObject({ code: 0 })
  const lines = readFileSync(out, 'utf8').trimEnd().split('\n')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ chain: 'main', sequence: 1, record: expect.any(Object) })

  const text = await runCli(['records', 'verify'], { env })
  expect(text).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^chain main: \d+ records \(1 to \d+\), \d+ signed heads: whole\n$/),
  })
  const false_head = {
    chain: 'main',
    sequence: 1,
    time: new Date().toISOString(),
    mac: '00'.repeat(32),
    kind: 'head',
    signature: 'AAAA',
  }
  const head = gateway.folder.write('head.jsonl', `${lines[0]}\n${JSON.stringify({ head: false_head })}\n`)
  const compared = await runCli(['records', 'verify', '--head', head, '--output', 'json'], { env })
  expect(compared.code).toBe(1)
  expect(JSON.parse(compared.stdout)).toMatchObject({
    ok: false,
    chains: [
      { chain: 'main', findings: expect.arrayContaining([{ chain: 'main', kind: 'head_signature', sequence: 1 }]) },
    ],
  })
  expect(await runCli(['records', 'verify', '--head', gateway.config], { env })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('holds no head'),
  })

  expect(await runCli(['records', 'prune', '--before', '1d'], { env })).toMatchObject({
    code: 0,
    stdout: 'Removed 0 records\n',
  })
  expect((await runCli(['records', 'key'], { env })).stdout).toMatch(/^-----BEGIN PUBLIC KEY-----\n/)
})

test('records are followed as they are kept', async () => {
  const text = startCli(['records', 'follow', '--operation', 'join_token.create'], { env })
  const json = startCli(['records', 'follow', '--output', 'json', '--decision', 'granted'], { env })
  try {
    await text.until('stderr', 'Following')
    const { stdout } = await runCli(['join-token', 'create', 'first', '--name', 'followed', '--output', 'json'], {
      env,
    })
    await text.until(
      'stdout',
      /^\S+ \S+Z {2}granted {2}join_token\.create {2}followed for first.* {2}\([0-9a-f]{24}\)\n/,
    )
    expect(text.stdout()).not.toContain(JSON.parse(stdout).token)
    await runCli(['join-token', 'create', 'first'], { env })
    await json.until('stdout', '\n')
    expect(JSON.parse(json.stdout().split('\n')[0] ?? '')).toMatchObject({
      decision: 'granted',
      operation: 'join_token.create',
    })
  } finally {
    await Promise.all([text.stop(), json.stop()])
  }
})

test('a reader that leaves early is no failure', () => {
  const command = `"${process.execPath}" "${mainFile}" records export --config "${gateway.config}"; echo "code $?" >&2`
  const { stdout, stderr } = spawnSync('sh', ['-c', `(${command}) | true`], { encoding: 'utf8' })
  expect({ stdout, stderr }).toEqual({ stdout: '', stderr: 'code 0\n' })
})

test('where there is no configuration, that of dev is named', async () => {
  using folder = makeFolder()
  const none = await runCli(['records', 'list'], { cwd: folder.path })
  expect(none.stderr).toBe('error: there is no configuration at ./apostille.yaml: name one with --config FILE\n')
  mkdirSync(folder.file('.apostille'))
  folder.write('.apostille/apostille.yaml', testConfiguration)
  for (const args of [['records', 'list'], ['authority', 'list'], ['check']]) {
    const { code, stderr } = await runCli(args, { cwd: folder.path })
    expect(code).toBe(1)
    expect(stderr).toContain('no configuration at ./apostille.yaml')
    expect(stderr).toContain('export APOSTILLE_CONFIG=.apostille/apostille.yaml')
  }
})

test('an operator reaches the gateway whatever is wrong with the document by now, and reload says it', async () => {
  gateway.folder.write(
    'apostille.yaml',
    `${testConfiguration.replace('from: first', 'from: frist')}limits: { refusals: 5 }\n`,
  )
  const refused = await runCli(['reload'], { env })
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toMatch(/apostille\.yaml:16:11: identities\[0\]\.from: /)
  const json = await runCli(['reload', '--output', 'json'], { env })
  expect(json.code).toBe(1)
  expect(JSON.parse(json.stdout)).toMatchObject({ applied: false, problems: [{ line: 16 }] })

  gateway.folder.write('apostille.yaml', `${testConfiguration}limits: { refusals: 5 }\n`)
  expect(await runCli(['reload'], { env })).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^In use: .*document [0-9a-f]{12}/),
  })
})

test('the bundle comes over the admin socket where no server is named', async () => {
  const pem = await runCli(['bundle', '--format', 'pem'], { env })
  expect(pem).toMatchObject({ code: 0, stderr: '' })
  expect(pem.stdout).toMatch(/^-----BEGIN CERTIFICATE-----\n/)
  const out = gateway.folder.file('ca.pem')
  await runCli(['bundle', '--out', out], { env })
  expect(readFileSync(out, 'utf8')).toBe(pem.stdout)
  const asked = gateway.folder.file('json.pem')
  await runCli(['bundle', '--out', asked, '--format', 'json'], { env })
  expect(JSON.parse(readFileSync(asked, 'utf8'))).toHaveProperty('spiffe_sequence')
  const json = JSON.parse((await runCli(['bundle'], { env })).stdout)
  expect(json.keys.map(({ use }: { use: string }) => use)).toContain('x509-svid')
})
