import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readSealKey } from '../../src/runtime/seal-key.node.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'

const key = Buffer.alloc(32, 7)
const text = key.toString('base64')
const sealKeyError = (message: string) => ({ name: 'SealKeyError', message: expect.stringContaining(message) })

test('is read from the environment', async () => {
  const input = { seal: { env: 'SEAL' }, storeIsEmpty: true }
  expect(Buffer.from(await readSealKey({ ...input, env: { SEAL: text } })).equals(key)).toBe(true)
  for (const env of [{}, { SEAL: '' }])
    await expect(readSealKey({ ...input, env })).rejects.toMatchObject(sealKeyError('set SEAL'))
  await expect(readSealKey({ ...input, env: { SEAL: 'short' } })).rejects.toMatchObject(sealKeyError('32 bytes'))
})

test('is read from a file', async () => {
  using folder = makeStoreDirectory()
  const file = folder.file('seal.key')
  writeFileSync(file, `${text}\n`)
  expect(Buffer.from(await readSealKey({ seal: { file }, env: {}, storeIsEmpty: false })).equals(key)).toBe(true)
})

test('is made for an empty store, in a folder that may have to be made as well', async () => {
  using folder = makeStoreDirectory()
  const file = folder.file('deep/er/seal.key')
  const input = { seal: { file }, env: {}, storeIsEmpty: true }
  const made = Buffer.from(await readSealKey(input))
  expect(made).toHaveLength(32)
  expect(readFileSync(file, 'utf8')).toBe(`${made.toString('base64')}\n`)
  expect([statSync(file).mode & 0o777, statSync(folder.file('deep')).mode & 0o777]).toEqual([0o600, 0o700])
  expect(Buffer.from(await readSealKey(input)).equals(made)).toBe(true)
})

test('that is missing for a store with keys is an error, and none is made', async () => {
  using folder = makeStoreDirectory()
  const file = folder.file('seal.key')
  await expect(readSealKey({ seal: { file }, env: {}, storeIsEmpty: false })).rejects.toMatchObject(
    sealKeyError('bring it back from your backup'),
  )
  expect(() => statSync(file)).toThrow()
})

test('that a crash left empty is made anew, and only for an empty store', async () => {
  using folder = makeStoreDirectory()
  const file = folder.file('seal.key')
  writeFileSync(file, '')
  await expect(readSealKey({ seal: { file }, env: {}, storeIsEmpty: false })).rejects.toMatchObject(
    sealKeyError('holds no seal key'),
  )
  expect(readFileSync(file, 'utf8')).toBe('')
  const input = { seal: { file }, env: {}, storeIsEmpty: true }
  const made = Buffer.from(await readSealKey(input))
  expect(Buffer.from(await readSealKey(input)).equals(made)).toBe(true)
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('that is none is an error without what is in the file', async () => {
  using folder = makeStoreDirectory()
  const file = folder.file('seal.key')
  for (const wrong of [
    '\n',
    'planted-secret',
    Buffer.alloc(31).toString('base64'),
    Buffer.alloc(33).toString('base64'),
  ]) {
    writeFileSync(file, wrong)
    const error = await readSealKey({ seal: { file }, env: {}, storeIsEmpty: true }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject(sealKeyError('holds no seal key'))
    expect(String(error)).not.toContain('planted-secret')
  }
})
