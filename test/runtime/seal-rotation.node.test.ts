import { randomBytes } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSealedKeys, sealKeyId } from '../../src/adapters/keys/sealed.ts'
import type { RecordEntry } from '../../src/core/record.ts'
import { openRecordKeys } from '../../src/core/record-keys.ts'
import { resealStore } from '../../src/core/reseal.ts'
import type { SecretPath } from '../../src/core/secret-path.ts'
import { createSecretShelf } from '../../src/core/secret-shelf.ts'
import type { Store } from '../../src/core/store.ts'
import { readSealKeys } from '../../src/runtime/seal-key.node.ts'
import { createSealRotation } from '../../src/runtime/seal-rotation.node.ts'
import { startGateway } from '../support/gateway.ts'
import { createMemoryStore } from '../support/memory-store.ts'
import {
  makeSealedStore,
  openEverything,
  openSealedStore,
  parseKeyFile,
  ringKeys,
  sealedTrustDomain,
  sealOf,
} from '../support/sealed-store.ts'
import { createSecretWorld } from '../support/secret-world.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'

const template = makeStoreDirectory()
beforeAll(() => makeSealedStore(template.path))
afterAll(() => template.remove())

function copyOfStore() {
  const folder = makeStoreDirectory()
  cpSync(template.path, folder.path, { recursive: true })
  return folder
}

/** Runs before each step of a rotation, and may throw. */
type Step = (what: string) => void

async function rotate(folder: string, step: Step = () => {}) {
  const store = openSealedStore(folder)
  const entries: RecordEntry[] = []
  const before =
    <Given extends readonly unknown[], Result>(what: string, work: (...given: Given) => Promise<Result>) =>
    async (...given: Given) => {
      step(`before ${what}`)
      const result = await work(...given)
      step(`after ${what}`)
      return result
    }
  const stepped: Pick<Store, 'listDocuments' | 'readDocument' | 'writeDocument'> = {
    listDocuments: before('list', store.listDocuments),
    readDocument: before('read', store.readDocument),
    writeDocument: before('write', store.writeDocument),
  }
  try {
    const { ring, keys } = ringKeys(await readSealKeys({ seal: sealOf(folder), env: {}, storeIsEmpty: false }))
    const rotation = createSealRotation({
      store: stepped,
      keys,
      ring,
      isShared: false,
      seal: sealOf(folder),
      writer: {
        append: before('record', async (more: readonly RecordEntry[]) => {
          entries.push(...more)
          return 'stored' as const
        }),
      },
      now: () => new Date(),
      pause: before('pause', async () => undefined),
    })
    return { report: await rotation.rotate('request-1'), entries }
  } finally {
    await store.close()
  }
}

const keyIn = (folder: { file: (name: string) => string }) =>
  sealKeyId(parseKeyFile(readFileSync(folder.file('seal.key'), 'utf8')))

test('everything opens under the new key alone; the former one is kept, and the act is on record', async () => {
  using folder = copyOfStore()
  const former = keyIn(folder)
  const { report, entries } = await rotate(folder.path)
  expect(report).toEqual({ key: keyIn(folder), resealed: 6, formerKeyFile: folder.file(`seal.key.${former}`) })
  expect(report.key).not.toBe(former)
  expect(entries).toMatchObject([
    { operation: 'seal.rotate', requestId: 'request-1', details: { key: report.key, former, resealed: 6 } },
  ])
  const { keys, opened } = await openEverything(folder.path)
  expect({ opens: keys.opens, unfinished: keys.isUnfinished, opened }).toEqual({
    opens: [],
    unfinished: false,
    opened: 8,
  })
  expect(readdirSync(folder.path).filter((name) => name.startsWith('seal'))).toEqual(['seal.key', `seal.key.${former}`])
  for (const name of ['seal.key', `seal.key.${former}`]) expect(statSync(folder.file(name)).mode & 0o777).toBe(0o600)
})

test('the former key opens nothing any more', async () => {
  using folder = copyOfStore()
  const { report } = await rotate(folder.path)
  renameSync(report.formerKeyFile ?? '', folder.file('seal.key'))
  await expect(openEverything(folder.path)).rejects.toMatchObject({ name: 'SealError' })
})

test('broken off before or after any step, everything opens, and a second run finishes it', async () => {
  let broken = 0
  for (let last = 0; ; last++) {
    using folder = copyOfStore()
    let left = last
    const failed = await rotate(folder.path, (what) => {
      if (left-- === 0) throw new Error(what)
    }).then(
      () => false,
      () => true,
    )
    expect((await openEverything(folder.path)).opened).toBe(8)
    if (!failed) break
    broken++
    const resumed = await rotate(folder.path)
    expect((await openEverything(folder.path)).keys).toMatchObject({ opens: [], isUnfinished: false })
    expect(keyIn(folder)).toBe(resumed.report.key)
  }
  expect(broken).toBeGreaterThan(40)
})

test('broken off twice, at whatever steps, nothing is lost either', async () => {
  const breakOff = (folder: string, after: number) => {
    let left = after
    return rotate(folder, (what) => {
      if (left-- === 0) throw new Error(what)
    }).then(
      () => false,
      () => true,
    )
  }
  let broken = 0
  for (const first of [3, 12, 30])
    for (let second = 1; ; second += 3) {
      using folder = copyOfStore()
      expect(await breakOff(folder.path, first)).toBe(true)
      const failed = await breakOff(folder.path, second)
      expect((await openEverything(folder.path)).opened).toBe(8)
      if (!failed) break
      broken++
      await rotate(folder.path)
      expect((await openEverything(folder.path)).keys).toMatchObject({ opens: [], isUnfinished: false })
    }
  expect(broken).toBeGreaterThan(20)
})

test('a document that somebody changes meanwhile keeps the change', async () => {
  const world = createSecretWorld(Buffer.alloc(32, 1))
  const path = 'team/a' as SecretPath
  await world.secrets.write({ requestId: 'r' }, { path, data: { value: 'first' } })
  const { ring, keys } = ringKeys({ seals: Buffer.alloc(32, 2), opens: [Buffer.alloc(32, 1)], isUnfinished: false })
  let changed = false
  world.store.beforeWrite = async () => {
    if (changed) return
    changed = true
    await world.secrets.write({ requestId: 'r' }, { path, data: { value: 'second' } })
  }
  expect(await resealStore({ store: world.store, keys })).toEqual({ documents: 1, resealed: 1 })
  const shelf = createSecretShelf({
    store: world.store,
    keys: createSealedKeys({ sealKey: ring.seals(), trustDomain: sealedTrustDomain, randomBytes }),
  })
  const { secret } = await shelf.read(path)
  const values = await Promise.all((secret?.versions ?? []).map((version) => shelf.open(path, version)))
  expect(values).toEqual([{ value: 'first' }, { value: 'second' }])
})

describe('without a file that can be written', () => {
  const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const sealed = (sealKey: Buffer) =>
    createSealedKeys({ sealKey, trustDomain: sealedTrustDomain, randomBytes: (size) => Buffer.alloc(size, 3) })

  async function rotation(opens: readonly Buffer[]) {
    const store = createMemoryStore()
    await openRecordKeys({ ...store, listChains: async () => [] } as unknown as Store, sealed(first))
    const { ring, keys } = ringKeys({ seals: second, opens, isUnfinished: false })
    const made = createSealRotation({
      store,
      keys,
      ring,
      isShared: false,
      seal: { env: 'NEW', also: [{ env: 'OLD' }] },
      writer: { append: async () => 'stored' },
      now: () => new Date(),
      pause: async () => undefined,
    })
    return { store, made }
  }

  test('the configuration says which is the next key', async () => {
    const { store, made } = await rotation([first])
    expect(await made.rotate('r')).toEqual({ key: sealKeyId(second), resealed: 1 })
    await openRecordKeys(store as unknown as Store, sealed(second))
  })

  test('there is nothing to do without one, and one at a time is enough', async () => {
    const { made } = await rotation([])
    await expect(made.rotate('r')).rejects.toMatchObject({
      code: 'conflict',
      detail: expect.stringContaining('seal.also'),
    })
    const { made: busy } = await rotation([first])
    const under = busy.rotate('r')
    await expect(busy.rotate('r')).rejects.toMatchObject({ detail: 'a rotation is under way' })
    await under
  })
})

test('something sealed that is not known stops it', async () => {
  const store = createMemoryStore()
  await store.writeDocument('new/thing', 0, JSON.stringify({ key: `v1.${'A'.repeat(60)}` }))
  await expect(resealStore({ store, keys: { reseal: () => undefined } })).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringContaining('new/thing'),
  })
})

test('a document that never holds still is given up', async () => {
  const store = createMemoryStore()
  await store.writeDocument('records/keys', 0, JSON.stringify({ mac: 'mac', key: 'key' }))
  const restless = { ...store, writeDocument: async () => false }
  await expect(resealStore({ store: restless, keys: { reseal: () => 'other' } })).rejects.toMatchObject({
    code: 'conflict',
  })
})

test('a whole gateway is rotated while it runs, and starts again with the new key', async () => {
  await using gateway = await startGateway()
  const before = (await gateway.admin('/v1/status')).json()
  const answer = await gateway.admin('/v1/seal/rotate', 'POST')
  expect([answer.status, answer.json()]).toMatchObject([
    200,
    { former_key_file: expect.stringContaining(String(before.seal_key)) },
  ])
  const after = (await gateway.admin('/v1/status')).json()
  expect(after).toMatchObject({ seal_key: answer.json().key, seal_rotation: 'none', ready: true })
  const restarted = await gateway.restart()
  expect((await restarted.admin('/v1/status')).json()).toMatchObject({ seal_key: answer.json().key, ready: true })
  expect((await restarted.admin('/v1/records/verify', 'POST')).json()).toMatchObject({ ok: true })
  await restarted.close()
})
