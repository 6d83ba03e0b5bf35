import { EventEmitter } from 'node:events'
import fs, { mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { expect, test, vi } from 'vitest'
import { loadConfiguration, readDocument, watchConfiguration } from '../../src/runtime/configuration.node.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'

const document = {
  trust_domain: 'example.org',
  issuer: 'https://id.example.org',
  listen: { address: 'unix:./run/public.sock', tls: { certificate: './tls.crt', key: '/etc/tls.key' } },
  store: 'sqlite:./data/apostille.db',
  seal: { file: '../seal.key' },
  authorities: { x509: { upstream: { certificate: 'ca.crt', key: 'ca.key', bundle: 'roots.pem' } } },
  authenticators: {
    ci: { type: 'oidc', issuer: 'https://ci.example', audience: 'a', jwks_file: 'keys/ci.json', ca_file: '/ca.pem' },
    k: {
      type: 'kubernetes',
      issuer: 'https://k.example',
      audience: 'a',
      token_review: { server: 'https://k.example', token_file: 'token', ca_file: 'ca.crt' },
    },
    cloud: { type: 'aws', accounts: ['123456789012'], ca_file: 'sts.pem' },
  },
  targets: {
    s3: {
      type: 'aws',
      role_arn: 'arn:aws:iam::123456789012:role/x',
      region: 'eu-west-1',
      ca_file: 'sts.pem',
      tags: { some_file: 'x' },
    },
  },
}

test('paths start at the folder of the document, wherever the process runs', async () => {
  using folder = makeStoreDirectory()
  const file = folder.file('apostille.yaml')
  writeFileSync(file, JSON.stringify(document))
  const config = await loadConfiguration(file)
  const at = folder.file
  expect(config.listen).toMatchObject({
    address: { kind: 'unix', path: at('run/public.sock') },
    tls: { certificate: at('tls.crt'), key: '/etc/tls.key' },
  })
  expect(config.admin.listen).toEqual({ kind: 'unix', path: at('data/admin.sock') })
  expect(config.store).toMatchObject({ path: at('data/apostille.db') })
  expect(config.seal).toEqual({ file: at('../seal.key') })
  expect(config.authorities.x509.upstream).toEqual({
    certificate: at('ca.crt'),
    key: at('ca.key'),
    bundle: at('roots.pem'),
  })
  expect(config.authenticators.get('ci')).toMatchObject({ jwks_file: at('keys/ci.json'), ca_file: '/ca.pem' })
  expect(config.authenticators.get('k')).toMatchObject({
    token_review: { server: 'https://k.example', token_file: at('token'), ca_file: at('ca.crt') },
  })
  expect(config.authenticators.get('cloud')).toMatchObject({ accounts: ['123456789012'], ca_file: at('sts.pem') })
  expect(config.targets.get('s3')?.document).toMatchObject({ ca_file: at('sts.pem'), tags: { some_file: 'x' } })
})

test.each<[string, (file: string) => void, string]>([
  ['is not there', () => undefined, 'there is no configuration at'],
  ['is a folder', (file) => mkdirSync(file), 'can not be read: EISDIR'],
  ['is no text', (file) => writeFileSync(file, Buffer.of(0xff)), 'it is not UTF-8'],
  ['is too large', (file) => writeFileSync(file, Buffer.alloc(16 * 1024 * 1024 + 1, ' ')), 'at most 16777216 are read'],
])('a document that %s is an error that says so', async (_, make, message) => {
  using folder = makeStoreDirectory()
  const file = folder.file('apostille.yaml')
  make(file)
  await expect(readDocument(file)).rejects.toMatchObject({
    name: 'DocumentError',
    message: expect.stringContaining(message),
  })
})

test.each<[string, (file: string, folder: string) => void]>([
  ['written', (file) => writeFileSync(file, 'b')],
  [
    'replaced',
    (file) => {
      writeFileSync(`${file}.new`, 'b')
      renameSync(`${file}.new`, file)
    },
  ],
  [
    'switched, as mounted volumes are',
    (_, folder) => {
      mkdirSync(`${folder}/..2`)
      writeFileSync(`${folder}/..2/apostille.yaml`, 'b')
      symlinkSync('..2', `${folder}/..data_tmp`)
      renameSync(`${folder}/..data_tmp`, `${folder}/..data`)
    },
  ],
])('a document that is %s is noticed', async (_, change) => {
  using folder = makeStoreDirectory()
  const file = folder.file('apostille.yaml')
  mkdirSync(folder.file('..1'))
  writeFileSync(folder.file('..1/apostille.yaml'), 'a')
  symlinkSync('..1', folder.file('..data'))
  symlinkSync('..data/apostille.yaml', file)
  if (!_.startsWith('switched')) {
    unlinkSync(file)
    writeFileSync(file, 'a')
  }
  const noticed = Promise.withResolvers<void>()
  const watcher = watchConfiguration(file, noticed.resolve, noticed.reject)
  change(file, folder.path)
  await noticed.promise
  watcher.close()
  expect(await readDocument(file)).toBe('b')
})

test('a folder that can not be watched is told, and is no error', () => {
  using folder = makeStoreDirectory()
  const lost = vi.fn()
  const watcher = watchConfiguration(folder.file('none/apostille.yaml'), () => undefined, lost)
  watcher.close()
  expect(lost.mock.calls).toEqual([[expect.objectContaining({ code: 'ENOENT' })]])
})

test('a watch that ends is told', () => {
  using folder = makeStoreDirectory()
  const system = Object.assign(new EventEmitter(), { close: () => undefined })
  vi.spyOn(fs, 'watch').mockReturnValue(system as unknown as fs.FSWatcher)
  syncBuiltinESMExports()
  try {
    const lost = vi.fn()
    const watcher = watchConfiguration(folder.file('apostille.yaml'), () => undefined, lost)
    system.emit('error', new Error('gone'))
    watcher.close()
    expect(lost.mock.calls).toEqual([[new Error('gone')]])
  } finally {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  }
})
