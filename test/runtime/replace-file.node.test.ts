import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { replaceFile, replaceFiles } from '../../src/runtime/replace-file.node.ts'
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

test.each([
  [0o077, 0o644],
  [0o000, 0o600],
])('whatever the umask is (%o), the mode is %o', async (umask, mode) => {
  using folder = makeStoreDirectory()
  const path = folder.file('a.pem')
  const before = process.umask(umask)
  try {
    await replaceFile(path, 'c', mode)
  } finally {
    process.umask(before)
  }
  expect(statSync(path).mode & 0o777).toBe(mode)
})

test('whoever reads meanwhile finds the old one or the new one, whole', async () => {
  using folder = makeStoreDirectory()
  const path = folder.file('a.pem')
  const contents = ['a', 'b'].map((letter) => letter.repeat(1_000_000))
  writeFileSync(path, contents[0] ?? '')
  let writing = true
  const written = (async () => {
    for (let round = 0; round < 20; round++) await replaceFile(path, contents[round % 2] ?? '', 0o644)
    writing = false
  })()
  const seen = new Set<string>()
  while (writing) {
    seen.add(readFileSync(path, 'utf8'))
    await setImmediate()
  }
  await written
  expect([...seen].sort()).toEqual(contents)
})
