import { X509Certificate } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { AuthoritySnapshot } from '../../src/core/authority-snapshot.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { createX509Authority } from '../../src/protocol/x509-svid.ts'
import { createFileSource, createOwnSvidSource } from '../../src/runtime/tls-material.node.ts'
import { createTestAuthority, testNow } from '../support/certificate-authority.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'

function activeAuthority(id: string) {
  const root = createTestAuthority()
  const authority = createX509Authority({ certificate: root.certificate, signer: root.key.signer, chain: [] })
  return { id, authority, chain: [], slotSeconds: 86_400, expiresAt: root.certificate.notAfter, root }
}

async function createSource() {
  const state = { now: testNow, host: 'id.example.org', active: activeAuthority('first') }
  const source = await createOwnSvidSource({
    trustDomain: parseTrustDomain('example.org'),
    host: () => state.host,
    authorities: () => ({ x509: () => state.active }) as unknown as AuthoritySnapshot,
    now: () => state.now,
  })
  return { state, source }
}

const later = (minutes: number) => new Date(testNow.getTime() + minutes * 60_000)

test('shows the SVID of the server, which names the host of the issuer, for an hour', async () => {
  const { source, state } = await createSource()
  const leaf = new X509Certificate(source.current().cert)
  expect(leaf.subjectAltName).toBe('URI:spiffe://example.org/apostille/server, DNS:id.example.org')
  expect(new Date(leaf.validTo)).toEqual(later(60))
  expect(leaf.verify(new X509Certificate(state.active.root.der).publicKey)).toBe(true)
  expect(source.current().key).toContain('BEGIN PRIVATE KEY')
})

test('renews at half of its life, with another key', async () => {
  const { source, state } = await createSource()
  const first = source.current()
  state.now = later(29)
  expect(await source.refresh()).toBeUndefined()
  state.now = later(31)
  const renewed = await source.refresh()
  expect(renewed).toBe(source.current())
  expect(renewed?.key).not.toBe(first.key)
  expect(await source.refresh()).toBeUndefined()
})

test('renews at once when another authority signs', async () => {
  const { source, state } = await createSource()
  state.active = activeAuthority('second')
  const renewed = new X509Certificate((await source.refresh())?.cert ?? '')
  expect(renewed.verify(new X509Certificate(state.active.root.der).publicKey)).toBe(true)
})

test('renews at once when the issuer has another host', async () => {
  const { source, state } = await createSource()
  state.host = 'new.example.org'
  expect(new X509Certificate((await source.refresh())?.cert ?? '').subjectAltName).toContain('DNS:new.example.org')
})

test.each([
  ['192.0.2.1', 'IP Address:192.0.2.1'],
  ['[2001:db8::1]', 'IP Address:2001:DB8:0:0:0:0:0:1'],
])('a host that is the address %s is named as one', async (host, name) => {
  const { source, state } = await createSource()
  state.host = host
  const names = new X509Certificate((await source.refresh())?.cert ?? '').subjectAltName
  expect(names).toBe(`URI:spiffe://example.org/apostille/server, ${name}`)
})

function createFiles() {
  const folder = makeStoreDirectory()
  const [certificate, key] = [folder.file('tls.crt'), folder.file('tls.key')]
  const write = (cert: string, secret: string) => {
    for (const [path, text] of [
      [certificate, cert],
      [key, secret],
    ] as const) {
      writeFileSync(`${path}.new`, text)
      renameSync(`${path}.new`, path)
    }
  }
  return { files: { certificate, key }, write, [Symbol.dispose]: folder.remove }
}

test('reads files again when they were replaced, and only then', async () => {
  using files = createFiles()
  files.write('a', 'b')
  const source = await createFileSource(files.files)
  expect(source.current()).toEqual({ cert: 'a', key: 'b' })
  expect(await source.refresh()).toBeUndefined()
  files.write('c', 'd')
  expect(await source.refresh()).toEqual({ cert: 'c', key: 'd' })
  expect(source.current()).toEqual({ cert: 'c', key: 'd' })
  expect(await source.refresh()).toBeUndefined()
})

test('files that are missing are an error at the start, and leave the old ones in use later', async () => {
  using files = createFiles()
  await expect(createFileSource(files.files)).rejects.toThrow()
  files.write('a', 'b')
  const source = await createFileSource(files.files)
  renameSync(files.files.key, `${files.files.key}.gone`)
  await expect(source.refresh()).rejects.toThrow()
  expect(source.current()).toEqual({ cert: 'a', key: 'b' })
})
