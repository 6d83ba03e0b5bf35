/** Each link of an installation is broken once: the doctor finds it, and says what to do. */
import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type HttpAnswer, UpstreamError, type UpstreamErrorCode } from '../../src/adapters/http-client.ts'
import { AdminUnreachable, createAdminClient } from '../../src/runtime/admin-client.node.ts'
import { checkClocks } from '../../src/runtime/authenticator-link.node.ts'
import { checkCertificate } from '../../src/runtime/certificate-link.node.ts'
import { loadConfiguration } from '../../src/runtime/configuration.node.ts'
import type { Check, DoctorDeps } from '../../src/runtime/doctor.node.ts'
import { diagnoseInstallation, type InstallationRequest } from '../../src/runtime/installation-chain.node.ts'
import { checkSealKey } from '../../src/runtime/seal-key-link.node.ts'
import { type Document, startGateway, type TestGateway } from '../support/gateway.ts'
import { createTestAuthority } from '../support/tls.ts'
import { send } from '../support/wire.ts'

let gateway: TestGateway
const issuer = 'https://id.example.org'
const kubernetes = { type: 'kubernetes', issuer: 'https://k.example', audience: 'https://id.example.org' }
const first = { type: 'join_token' }

beforeAll(async () => {
  gateway = await startGateway({ document: { policies: [], targets: {} } })
  chmodSync(join(gateway.folder, 'apostille.yaml'), 0o644)
})
afterAll(() => gateway[Symbol.asyncDispose]())

const configFile = () => join(gateway.folder, 'apostille.yaml')

/** A document beside the one that the gateway watches. */
function writeOther(changes: Document): string {
  const file = join(gateway.folder, 'other.yaml')
  const authenticators = { first, cluster: kubernetes }
  writeFileSync(
    file,
    JSON.stringify({ ...JSON.parse(readFileSync(configFile(), 'utf8')), authenticators, identities: [], ...changes }),
  )
  return file
}

interface Sight {
  readonly aheadSeconds?: number
  readonly upstream?: (url: string) => Partial<HttpAnswer>
  readonly failure?: UpstreamErrorCode
  readonly admin?: DoctorDeps['admin']
}

function depsOf({ aheadSeconds = 0, upstream = () => ({}), failure, admin }: Sight): DoctorDeps {
  const socket = join(gateway.folder, 'admin.sock')
  return {
    view: {
      resolve: async () => ['9.9.9.9'],
      client: {
        async request({ url }) {
          const { status, headers, text } = await send(gateway.target, url.slice(issuer.length))
          return { status, headers: new Headers(headers as Record<string, string>), text }
        },
        close: async () => {},
      },
    },
    connect: () => ({
      async request({ url }) {
        if (failure !== undefined) throw new UpstreamError(failure, `k.example: ${failure}`)
        const { keys } = JSON.parse(gateway.issuer.jwks)
        const body = url.endsWith('/jwks')
          ? { keys }
          : { issuer: kubernetes.issuer, jwks_uri: `${kubernetes.issuer}/jwks`, response_types_supported: ['id_token'] }
        const headers = new Headers({ date: new Date().toUTCString() })
        return { status: 200, headers, text: JSON.stringify(body), ...upstream(url) }
      },
      close: async () => {},
    }),
    admin: admin ?? (async () => createAdminClient(socket)),
    now: () => new Date(Date.now() + aheadSeconds * 1000),
    monotonicMs: () => performance.now(),
  }
}

const diagnose = (sight: Sight = {}, more: Partial<InstallationRequest> = {}) =>
  diagnoseInstallation(
    { isPrivate: false, env: {}, nodeVersion: '24.15.0', ...more, configFile: more.configFile ?? writeOther({}) },
    depsOf(sight),
  )

const foundIn = (checks: readonly Check[]) =>
  checks.flatMap(({ name, findings }) => findings.map(({ code, severity }) => `${name}: ${severity} ${code}`))

test('a sound installation passes, link by link', async () => {
  const { ok, checks } = await diagnose({}, { configFile: configFile() })
  expect([ok, foundIn(checks)]).toEqual([true, []])
  expect(checks.map(({ name, verdict }) => [name, verdict])).toEqual([
    ['node', 'pass'],
    ['configuration', 'pass'],
    ['gateway', 'pass'],
    ['files', 'pass'],
    ['seal key', 'pass'],
    ['disk', 'pass'],
    ['authenticators', 'pass'],
    ['clock', 'pass'],
    ['certificate', 'skip'],
    ['issuer', 'pass'],
    ['discovery', 'pass'],
    ['keys', 'pass'],
  ])
})

async function codesOf(sight: Sight = {}, more: Partial<InstallationRequest> = {}) {
  const { checks } = await diagnose(sight, more)
  for (const { message, remedy } of checks.flatMap(({ findings }) => findings))
    expect([message.length > 0, remedy.length > 0]).toEqual([true, true])
  return foundIn(checks).filter((found) => found !== 'configuration: warning configuration_not_in_use')
}

test.each<[string, Sight, Partial<InstallationRequest>, string]>([
  ['an old Node', {}, { nodeVersion: '22.1.0' }, 'node: error node_old'],
  ['one that lacks what came with 24.15', {}, { nodeVersion: '24.14.1' }, 'node: error node_old'],
  ['a Node that is not tested', {}, { nodeVersion: '25.1.0' }, 'node: warning node_untested'],
  ['an issuer that does not answer', { failure: 'network' }, {}, 'authenticators: error authenticator_network'],
  ['one whose certificate nobody vouches for', { failure: 'tls' }, {}, 'authenticators: error authenticator_tls'],
  ['one that wants a token', { upstream: () => ({ status: 403 }) }, {}, 'authenticators: error authenticator_status'],
  [
    'one that answers with something else',
    { upstream: () => ({ text: '<html>' }) },
    {},
    'authenticators: error authenticator_malformed',
  ],
  [
    'one without keys',
    { upstream: (url) => (url.endsWith('/jwks') ? { text: '{"keys":[]}' } : {}) },
    {},
    'authenticators: error authenticator_keys',
  ],
  ['a clock that is ahead', { aheadSeconds: 120 }, {}, 'clock: error clock_skew'],
  ['a clock that drifts', { aheadSeconds: 30 }, {}, 'clock: warning clock_drift'],
])('%s', async (_, sight, more, code) => {
  expect(await codesOf(sight, more)).toContain(code)
})

test('a gateway that does not run, and one that may not be asked', async () => {
  const failing = (reason: AdminUnreachable['reason']) => ({
    admin: async () => ({ call: () => Promise.reject(new AdminUnreachable(reason)) }),
  })
  expect(await codesOf(failing('not_running'))).toContain('gateway: error gateway_not_running')
  expect(await codesOf(failing('not_allowed'))).toContain('gateway: error gateway_not_allowed')
})

test('what the gateway says of itself', async () => {
  const status = {
    ready: false,
    problem: 'the disk is full',
    configuration: 'refused',
    seal_rotation: 'unfinished',
    federation: [
      { trust_domain: 'a.example', failures: 3, problem: 'no answer' },
      { trust_domain: 'b.example', failures: 0 },
    ],
  }
  const admin = async () => ({ call: async () => ({ status: 200, body: status }) })
  expect((await codesOf({ admin })).filter((found) => found.startsWith('gateway'))).toEqual([
    'gateway: error gateway_not_ready',
    'gateway: error configuration_refused',
    'gateway: warning seal_rotation',
    'gateway: warning federation_failing',
  ])
})

test('a configuration with mistakes, and none at all, leave the rest unseen', async () => {
  for (const [file, code] of [
    [writeOther({ store: 'nowhere' }), 'configuration: error configuration_invalid'],
    [join(gateway.folder, 'none.yaml'), 'configuration: error configuration_unread'],
  ] as const) {
    const { ok, checks } = await diagnose({}, { configFile: file })
    expect([ok, foundIn(checks)]).toEqual([false, [code]])
    expect(checks.slice(2).every(({ verdict }) => verdict === 'skip')).toBe(true)
  }
})

test('a gateway that goes by another document than the one on disk', async () => {
  const notInUse = async (configFile: string) =>
    foundIn((await diagnose({}, { configFile })).checks).includes('configuration: warning configuration_not_in_use')
  expect([await notInUse(configFile()), await notInUse(writeOther({}))]).toEqual([false, true])
})

test('warnings of the configuration are told', async () => {
  const configFile = writeOther({ issuer: 'https://id.example.org:8443' })
  expect(await codesOf({}, { configFile })).toContain('configuration: warning configuration_warning')
})

test.each([
  ['data/seal.key', 0o644, 0o600],
  ['data/apostille.db', 0o640, 0o600],
  ['data', 0o770, 0o700],
  ['admin.sock', 0o666, 0o600],
  ['other.yaml', 0o666, 0o644],
])('%s with mode %o', async (name, mode, right) => {
  writeOther({})
  const path = join(gateway.folder, name)
  chmodSync(path, mode)
  const { checks } = await diagnose({}, { configFile: join(gateway.folder, 'other.yaml') })
  chmodSync(path, right)
  const files = checks.find((check) => check.name === 'files')
  expect(files?.findings).toMatchObject([
    { code: 'file_mode', severity: 'error', remedy: expect.stringContaining(`chmod ${right.toString(8)}`) },
  ])
})

test('keys of other times and of other places are looked at as well', async () => {
  const [former, also, upstream] = ['data/seal.key.0123456789abcdef', 'also.key', 'upstream.key'].map((name) => {
    const path = join(gateway.folder, name)
    writeFileSync(path, 'k', { mode: 0o640 })
    return path
  })
  const files = { certificate: './up.crt', key: './upstream.key', bundle: './up.pem' }
  const configFile = writeOther({
    seal: { file: './data/seal.key', also: [{ file: './also.key' }, { env: 'FORMER' }] },
    authorities: { x509: { upstream: files } },
  })
  const { checks } = await diagnose({}, { configFile })
  rmSync(former ?? '')
  const messages = checks.find(({ name }) => name === 'files')?.findings.map(({ message }) => message)
  expect(messages).toEqual([
    expect.stringContaining(`a former seal key can be read by others than its owner: ${also}`),
    expect.stringContaining(`the key of the upstream authority can be read by others than its owner: ${upstream}`),
    expect.stringContaining(`a former seal key can be read by others than its owner: ${former}`),
  ])
})

test('without a target, what clouds can not see is for people to judge', async () => {
  const resolve = async () => ['10.0.0.1']
  const deps = depsOf({})
  const ask = (changes: Document) =>
    diagnoseInstallation(
      { configFile: writeOther(changes), isPrivate: false, env: {}, nodeVersion: '24.15.0' },
      { ...deps, view: { ...deps.view, resolve } },
    )
  expect(foundIn((await ask({})).checks)).toContain('issuer: warning issuer_private')
  const target = { type: 'aws', role_arn: 'arn:aws:iam::123456789012:role/x', region: 'eu-west-1' }
  expect(foundIn((await ask({ targets: { away: target } })).checks)).toContain('issuer: error issuer_private')
})

describe('the seal key', () => {
  const keyFile = () => join(gateway.folder, 'data/seal.key')

  async function withKey(text: string | undefined, inUse?: string) {
    const kept = `${keyFile()}.kept`
    renameSync(keyFile(), kept)
    if (text !== undefined) writeFileSync(keyFile(), text, { mode: 0o600 })
    try {
      return await checkSealKey(await loadConfiguration(configFile()), {}, inUse)
    } finally {
      rmSync(keyFile(), { force: true })
      renameSync(kept, keyFile())
    }
  }

  test('that is another one than the gateway runs with, or than the store was made with', async () => {
    // What was kept is then in the database itself.
    gateway = await gateway.restart()
    const other = randomBytes(32).toString('base64')
    const { seal_key: inUse } = (await gateway.admin('/v1/status')).json()
    expect((await withKey(other, String(inUse))).findings).toMatchObject([{ code: 'seal_key_other' }])
    expect((await withKey(other)).findings).toMatchObject([{ code: 'seal_key_other' }])
    expect((await withKey(readFileSync(keyFile(), 'utf8'))).verdict).toBe('pass')
  })

  test('that is missing or none', async () => {
    expect((await withKey(undefined, 'x')).findings).toMatchObject([{ code: 'seal_key' }])
    expect((await withKey('short', 'x')).findings).toMatchObject([{ code: 'seal_key' }])
  })

  test('that is in a variable is looked at where it is set', async () => {
    const config = { ...(await loadConfiguration(configFile())), seal: { env: 'SEAL' } }
    expect(await checkSealKey(config, {}, 'x')).toMatchObject({ verdict: 'skip' })
    const SEAL = readFileSync(keyFile(), 'utf8')
    expect(await checkSealKey(config, { SEAL }, undefined)).toMatchObject({ verdict: 'pass' })
  })

  test('of a store that is not there yet is not looked at', async () => {
    const config = await loadConfiguration(configFile())
    const store = { ...config.store, path: join(gateway.folder, 'none.db') }
    expect(await checkSealKey({ ...config, store }, {}, undefined)).toMatchObject({ verdict: 'skip' })
  })
})

describe('the certificate', () => {
  async function look(tls: 'self' | 'off' | { readonly certificate: string; readonly key: string }, now = new Date()) {
    const config = await loadConfiguration(configFile())
    return checkCertificate({ ...config, listen: { ...config.listen, tls } }, now)
  }

  async function files(names: readonly string[]) {
    const { issue } = await createTestAuthority()
    const [one, two] = [await issue(names), await issue(names)]
    const write = (name: string, text: string) => {
      writeFileSync(join(gateway.folder, name), text)
      return join(gateway.folder, name)
    }
    return { certificate: write('tls.crt', one.cert), key: write('tls.key', one.key), other: write('o.key', two.key) }
  }

  test('of our own is always for the host, and none is somebody else’s', async () => {
    expect([(await look('self')).verdict, (await look('off')).verdict]).toEqual(['pass', 'skip'])
  })

  test('is for the host of the issuer, valid, and goes with its key', async () => {
    const { certificate, key, other } = await files(['id.example.org'])
    const day = 86_400_000
    const at = (ms: number) => look({ certificate, key }, new Date(Date.now() + ms))
    const codes = async (check: Promise<Check>) => (await check).findings.map(({ code }) => code)
    expect(await codes(at(0))).toEqual(['certificate_expires'])
    expect(await codes(at(2 * day))).toEqual(['certificate_expired'])
    expect(await codes(at(-2 * day))).toEqual(['certificate_early'])
    expect(await codes(look({ certificate, key: other }))).toContain('certificate_key')
    expect(await codes(look({ certificate: key, key }))).toEqual(['certificate_unread'])
    expect(await codes(look({ certificate: '/nowhere', key }))).toEqual(['certificate_unread'])
    const others = await files(['www.example.org'])
    expect(await codes(look(others))).toContain('certificate_host')
  })
})

test('of several clocks, one that is off is somebody else’s', () => {
  const check = checkClocks([
    { name: 'a', seconds: 0 },
    { name: 'b', seconds: -90 },
  ])
  expect(check.findings).toMatchObject([{ code: 'clock_there', severity: 'warning' }])
  expect(checkClocks([]).verdict).toBe('skip')
})
