/** `svid x509 --watch` and `svid jwt --watch` as processes of their own, at a gateway that comes and goes. */
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readX509Folder } from '../../src/sdk/x509-folder.node.ts'
import { type SdkGateway, startSdkGateway } from '../support/sdk-gateway.ts'
import { makeFolder, runCli, startCli } from './run-cli.ts'

let world: SdkGateway
const folder = makeFolder()

beforeAll(async () => {
  world = await startSdkGateway()
})

afterAll(async () => {
  await world?.close()
  folder.remove()
})

/** Flags for a gateway and no proof. */
function flags(): readonly string[] {
  const { server, caFile } = world.optionsOf('x')
  return ['--server', server, '--ca-file', caFile]
}

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '')

test('a folder is kept fresh, hooks run, and it goes on after a restart without the proof', async () => {
  const dir = folder.file('svid')
  const { token } = await world.gateway().joinToken()
  const proof = ['--token-file', folder.write('join', token)]
  const marks = folder.file('marks')
  const args = ['svid', 'x509', '--watch', dir, '--ttl', '4s', '--output', 'json', ...flags()]
  const watch = startCli([...args, ...proof, '--exec', `cat '${dir}/svid.pem' >> '${marks}'`])
  await watch.until('stdout', /\n.*\n.*\n/)
  expect(await watch.stop()).toBe(0)
  expect(watch.stderr()).toBe('')
  const told = linesOf(watch.stdout()).map((line) => JSON.parse(line))
  for (const line of told)
    expect(line).toEqual({
      spiffe_id: 'spiffe://example.org/vm/one',
      serial_number: expect.stringMatching(/^[0-9a-f]{32}$/),
      expires_at: expect.any(String),
      files: { certificate: `${dir}/svid.pem`, key: `${dir}/svid.key`, bundle: `${dir}/bundle.pem` },
    })
  const serials = told.map(({ serial_number: serial }) => serial)
  expect(new Set(serials).size).toBe(serials.length)
  expect((await readX509Folder(dir)).svid.serialNumber).toBe(serials.at(-1))
  expect((statSync(`${dir}/svid.key`).mode & 0o777).toString(8)).toBe('600')
  const [first = ''] = readFileSync(marks, 'utf8').split(/(?<=-----END CERTIFICATE-----\n)/)
  expect(new X509Certificate(first).serialNumber.toLowerCase()).toBe(serials[0])

  const again = startCli(args)
  await again.until('stdout', /\n.*\n/)
  expect(await again.stop('SIGINT')).toBe(0)
})

test('a token in a file is kept fresh', async () => {
  const file = folder.file('api.jwt')
  const proof = ['--token-file', folder.write('ci', world.tokenOf('jwt-watch'))]
  const args = ['svid', 'jwt', '--audience', 'https://api.example.org', '--watch', file, '--ttl', '3s']
  const watch = startCli([...args, '--output', 'json', ...flags(), ...proof])
  await watch.until('stdout', /\n.*\n/)
  expect(await watch.stop()).toBe(0)
  const [first] = linesOf(watch.stdout()).map((line) => JSON.parse(line))
  expect(first).toEqual({ spiffe_id: 'spiffe://example.org/ci/jwt-watch', expires_at: expect.any(String), file })
  expect(readFileSync(file, 'utf8')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600')
  expect(watch.stdout()).not.toContain(readFileSync(file, 'utf8'))
})

test('people see one line for each renewal, and what is wrong meanwhile', async () => {
  const proof = ['--token-file', folder.write('ci-2', world.tokenOf('people'))]
  const dir = folder.file('people')
  const watch = startCli(['svid', 'x509', '--watch', dir, '--ttl', '4s', '--exec', 'exit 7', ...flags(), ...proof])
  await watch.until('stderr', /^spiffe:\/\/example\.org\/ci\/people [0-9a-f]{8} in \S+ expires .*\n/m)
  await watch.until('stderr', 'warning: --exec: exit 7: ended with 7\n')
  await world.goAway()
  await watch.until('stderr', /not renewed yet: no answer from https:\/\/localhost:\d+ \(ECONNREFUSED\)\n/)
  const lines = linesOf(watch.stderr()).length
  await world.comeBack()
  await watch.until('stderr', new RegExp(`(?:.*\\n){${lines}}(?:.*\\n)*spiffe:`))
  expect(await watch.stop()).toBe(0)
  expect(watch.stdout()).toBe('')
})

test.concurrent.each([
  ['a gateway that is not there', ['--server', 'https://localhost:1'], 'server_unreachable'],
  ['a proof that is refused', ['--token-file', folder.write('bad', 'e30.e30.AA')], 'proof_rejected'],
])('with %s it can not begin', async (_, more, errorCode) => {
  const proof = ['--token-file', folder.write(`ci-${errorCode}`, world.tokenOf('x'))]
  const args = ['svid', 'x509', '--watch', folder.file(errorCode), '--output', 'json', ...flags(), ...proof, ...more]
  const { code, stderr } = await runCli(args)
  expect([code, JSON.parse(stderr).error.code]).toEqual([1, errorCode])
})
