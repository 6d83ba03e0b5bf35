import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { replaceFiles } from '../../src/runtime/replace-file.node.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('half')
  throw new Error('no more')
}

test('files that belong together are replaced with their modes', async () => {
  using folder = makeStoreDirectory()
  const [key, certificate] = [folder.file('a.key'), folder.file('a.pem')]
  await replaceFiles([
    { path: key, content: 'k', mode: 0o600 },
    { path: certificate, content: 'c', mode: 0o644 },
  ])
  expect([readFileSync(key, 'utf8'), readFileSync(certificate, 'utf8')]).toEqual(['k', 'c'])
  expect([statSync(key).mode & 0o777, statSync(certificate).mode & 0o777]).toEqual([0o600, 0o644])
})

test('when one can not be written, none is replaced and nothing is left', async () => {
  using folder = makeStoreDirectory()
  const [key, certificate] = [folder.file('a.key'), folder.file('a.pem')]
  writeFileSync(key, 'old')
  const files = [
    { path: key, content: 'new', mode: 0o600 },
    { path: certificate, content: failing(), mode: 0o644 },
  ]
  await expect(replaceFiles(files)).rejects.toThrow('no more')
  expect(readFileSync(key, 'utf8')).toBe('old')
  expect(readdirSync(folder.file('.'))).toEqual(['a.key'])
})
