import { type ChildProcess, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import fs, { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { RecordDocument } from '../../src/core/record.ts'
import { makeWorkload } from '../support/csr.ts'
import { askJwt, bearer, startGateway, type TestGateway } from '../support/gateway.ts'
import { openHttp2, openSocket, send, type WireAnswer } from '../support/wire.ts'

const script = join(import.meta.dirname, '../support/serve.ts')
const api = 'https://api.example.org'

/** A gateway in another process; answers its first line. */
async function spawnServer(
  folder: string,
  ...args: readonly string[]
): Promise<{ readonly child: ChildProcess; readonly line: string }> {
  const child = spawn(process.execPath, [script, join(folder, 'apostille.yaml'), ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [chunk] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer]
  return { child, line: chunk.toString().trim() }
}

const exportOf = async (gateway: TestGateway) =>
  (await gateway.admin('/v1/records/export')).text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly sequence?: number; readonly head?: { readonly sequence: number } })

test('makes the seal key for a new store, for its owner alone', async () => {
  await using gateway = await startGateway()
  const file = join(gateway.folder, 'data/seal.key')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(Buffer.from(readFileSync(file, 'utf8').trim(), 'base64')).toHaveLength(32)
  expect(statSync(join(gateway.folder, 'admin.sock')).mode & 0o777).toBe(0o600)
})

test('keeps its authorities, documents and records over a restart', async () => {
  const first = await startGateway()
  const before = await Promise.all(['/keys', '/v1/bundle'].map(async (path) => (await first.send(path)).text))
  await askJwt(first, first.issuer.token())
  const again = await first.restart()
  expect(await Promise.all(['/keys', '/v1/bundle'].map(async (path) => (await again.send(path)).text))).toEqual(before)
  expect(await again.records()).toHaveLength(1)
  await again[Symbol.asyncDispose]()
})

test.each<[string, (file: string) => void]>([
  ['another', (file) => writeFileSync(file, Buffer.alloc(32, 7).toString('base64'))],
  ['no', (file) => rmSync(file)],
  ['a broken', (file) => writeFileSync(file, 'none')],
])('%s seal key for a store that has keys is a clear error, and nothing is overwritten', async (_, spoil) => {
  const gateway = await startGateway()
  await askJwt(gateway, gateway.issuer.token())
  await gateway.close()
  const [store, key] = ['data/apostille.db', 'data/seal.key'].map((name) => join(gateway.folder, name))
  const [bytes, secret] = [readFileSync(store ?? ''), readFileSync(key ?? '')]
  spoil(key ?? '')
  await expect(gateway.restart()).rejects.toMatchObject({ name: expect.stringMatching(/^Seal(Key)?Error$/) })
  expect(readFileSync(store ?? '').equals(bytes)).toBe(true)
  expect(existsSync(key ?? '') && readFileSync(key ?? '').equals(secret)).toBe(false)

  writeFileSync(key ?? '', secret)
  const again = await gateway.restart()
  expect((await askJwt(again, again.issuer.token())).status).toBe(200)
  await again[Symbol.asyncDispose]()
})

test('a second process on the same store gets a clear error, and the first goes on', async () => {
  await using gateway = await startGateway()
  const { child, line } = await spawnServer(gateway.folder)
  expect(line).toBe('StoreError in_use')
  if (child.exitCode === null) await once(child, 'exit')
  expect(child.exitCode).toBe(1)
  expect((await askJwt(gateway, gateway.issuer.token())).status).toBe(200)
})

test('an address that is taken leaves nothing open', async () => {
  await using gateway = await startGateway({ document: { listen: { address: '127.0.0.1:0', tls: 'off' } } })
  const { address } = gateway.target
  if (address.kind !== 'tcp') throw new Error('not listening on a port')
  const listen = { address: `127.0.0.1:${address.port}`, tls: 'off' }
  await expect(startGateway({ document: { listen } })).rejects.toMatchObject({ name: 'ListenError' })
})

test('a start that fails in its last step leaves nothing open: the process ends, and another can take its place', async () => {
  const gateway = await startGateway()
  await gateway.close()
  const { child, line } = await spawnServer(gateway.folder, 'late')
  onTestFinished(() => void child.kill('SIGKILL'))
  expect(line).toBe('Error')
  if (child.exitCode === null) await once(child, 'exit')
  expect(child.exitCode).toBe(1)
  await using again = await gateway.restart()
  expect((await askJwt(again, again.issuer.token())).status).toBe(200)
})

test('where the system lets no more files be watched, it starts and says how to reload', async () => {
  const full = Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), { code: 'ENOSPC' })
  vi.spyOn(fs, 'watch').mockImplementation(() => {
    throw full
  })
  syncBuiltinESMExports()
  try {
    await using gateway = await startGateway()
    expect((await askJwt(gateway, gateway.issuer.token())).status).toBe(200)
    expect(gateway.log.filter(({ level }) => level === 'warning')).toEqual([
      {
        level: 'warning',
        message: 'changes of the configuration are not seen: reload with SIGHUP or `apostille reload`',
        fields: { error: full.message },
      },
    ])
  } finally {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  }
})

test('a stop finishes what was accepted, signs the head of the records, and refuses what comes after', async () => {
  const gateway = await startGateway()
  const text = JSON.stringify({ audience: [api] })
  const socket = openSocket(gateway.target)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const head = [
    'POST /v1/svid/jwt HTTP/1.1',
    'Host: a',
    'Content-Type: application/json',
    `Authorization: Bearer ${gateway.issuer.token()}`,
    `Content-Length: ${text.length}`,
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n${text.slice(0, 5)}`)
  await expect.poll(() => gateway.metric('apostille_http_requests_in_flight')).toBe(1)
  const stopped = gateway.close()
  await expect(send(gateway.target, '/livez')).rejects.toThrow()
  socket.write(text.slice(5))
  await once(socket, 'close')
  await stopped
  const answer = Buffer.concat(chunks).toString()
  expect(answer).toMatch(/^HTTP\/1.1 200 /)
  expect(answer).toMatch(/connection: close/i)

  const again = await gateway.restart()
  const lines = await exportOf(again)
  const last = lines.filter(({ sequence }) => sequence !== undefined).at(-1)
  expect(lines.filter(({ head: signed }) => signed !== undefined).at(-1)?.head?.sequence).toBe(last?.sequence)
  expect((await again.admin('/v1/records/verify', 'POST')).json().ok).toBe(true)
  await again[Symbol.asyncDispose]()
})

test('stopping twice is stopping once', async () => {
  const gateway = await startGateway()
  await Promise.all([gateway.close(), gateway.close()])
  await gateway[Symbol.asyncDispose]()
  await expect(send(gateway.target, '/livez')).rejects.toThrow()
})

test('hostile bytes by the thousand end neither the process nor its answers', async () => {
  await using gateway = await startGateway({ document: { listen: { address: '127.0.0.1:0' } } })
  const plain = { address: gateway.target.address }
  await Promise.all(
    Array.from({ length: 200 }, (_, seed) => {
      const socket = openSocket(plain)
      socket.on('error', () => undefined)
      socket.resume().end(Buffer.alloc(64 + seed, seed))
      return once(socket, 'close')
    }),
  )
  const client = await openHttp2(gateway.target)
  const streams = Array.from({ length: 200 }, () => {
    const stream = client.session.request({
      ':method': 'POST',
      ':path': '/v1/svid/jwt',
      'content-type': 'application/json',
    })
    stream.on('error', () => undefined)
    stream.write('{')
    stream.close(8)
    return once(stream, 'close')
  })
  await Promise.all(streams)
  client.session.destroy()
  expect((await askJwt(gateway, gateway.issuer.token())).status).toBe(200)
  await expect.poll(() => gateway.metric('apostille_http_requests_in_flight')).toBe(0)
})

/** What callers got hold of before the process was killed. */
interface Harvest {
  readonly jtis: string[]
  readonly serials: string[]
}

async function hammer(gateway: TestGateway, joinToken: string, harvest: Harvest, enough: number): Promise<void> {
  for (let round = 0; ; round++) {
    const token = round % 4 === 0 ? joinToken : gateway.issuer.token({ jti: String(round) })
    try {
      if (round % 3 === 0) {
        const answer = await askX509(gateway, token)
        if (answer.status === 200) harvest.serials.push(serialOf(answer))
      } else {
        const answer = await askJwt(gateway, token)
        if (answer.status === 200) harvest.jtis.push(jtiOf(answer))
      }
    } catch {
      return
    }
    if (harvest.jtis.length >= enough) return
  }
}

const { csr } = makeWorkload()

function askX509(gateway: TestGateway, token: string): Promise<WireAnswer> {
  return gateway.send('/v1/svid/x509', { method: 'POST', headers: bearer(token), body: JSON.stringify({ csr }) })
}

function serialOf(answer: WireAnswer): string {
  return new X509Certificate(String(answer.json().certificates)).serialNumber.toLowerCase()
}

function jtiOf(answer: WireAnswer): string {
  const payload = String(answer.json().token).split('.')[1] ?? ''
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { readonly jti: string }).jti
}

const rounds = Number(process.env.APOSTILLE_KILL_ROUNDS ?? 3)
const uses = 25

test('whatever a caller received is on record after kill -9, and no join token was used more often than allowed', {
  timeout: 20_000 + rounds * 10_000,
}, async () => {
  let gateway = await startGateway()
  const { token, id } = await gateway.joinToken({ uses, ttl_seconds: 3600 })
  await gateway.close()
  const harvest: Harvest = { jtis: [], serials: [] }

  for (let round = 1; round <= rounds; round++) {
    const { child, line } = await spawnServer(gateway.folder)
    expect(line).toBe('ready')
    const enough = harvest.jtis.length + 20 + round * 7
    const callers = Array.from({ length: 8 }, () => hammer(gateway, token, harvest, enough))
    await Promise.race(callers)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await Promise.all(callers)
  }

  gateway = await gateway.restart()
  const records = await allRecords(gateway)
  const recorded = new Set(records.map(({ issued }) => issued?.jti))
  expect(harvest.jtis.length).toBeGreaterThan(20 * rounds)
  expect(harvest.jtis.filter((jti) => !recorded.has(jti))).toEqual([])
  const serials = new Set(records.map(({ issued }) => issued?.serial_number))
  expect(harvest.serials.length).toBeGreaterThan(5 * rounds)
  expect(harvest.serials.filter((serial) => !serials.has(serial))).toEqual([])
  expect((await gateway.admin('/v1/records/verify', 'POST')).json().ok).toBe(true)

  const spent = records.filter(({ attributes, decision }) => attributes?.id === id && decision === 'granted').length
  const { items } = (await gateway.admin('/v1/join-tokens')).json() as {
    readonly items: readonly Record<string, unknown>[]
  }
  expect(spent).toBeGreaterThan(0)
  expect(spent).toBeLessThanOrEqual(uses)
  expect(items[0]).toMatchObject({ id, uses_left: uses - spent })
  await gateway[Symbol.asyncDispose]()
})

async function allRecords(gateway: TestGateway): Promise<readonly RecordDocument[]> {
  const lines = await exportOf(gateway)
  return lines.flatMap((line) => ('record' in line ? [line.record as RecordDocument] : []))
}
