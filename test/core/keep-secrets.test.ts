import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SecretOperator } from '../../src/core/admit-secret.ts'
import type { SecretKeeper } from '../../src/core/keep-secrets.ts'
import { SealError } from '../../src/core/key-manager.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { parseSecretFolder, parseSecretPath } from '../../src/core/secret-path.ts'
import { StoreError } from '../../src/core/store.ts'
import { createSecretWorld, type SecretWorld } from '../support/secret-world.ts'

const asker: SecretOperator = { requestId: 'r1' }
const path = parseSecretPath('payments/db')
const planted = 'planted-Value-3f9a'
const refused = (code: string) => expect.objectContaining({ code })

function later(world: SecretWorld, seconds = 1): Date {
  world.now = new Date(world.now.getTime() + seconds * 1000)
  return world.now
}

async function put(world: SecretWorld, value: unknown, cas?: number) {
  return world.secrets.write(asker, { path, data: { value }, ...(cas !== undefined && { cas }) })
}

const readValue = async (world: SecretWorld, version?: number) =>
  (await world.secrets.read(asker, { path, ...(version !== undefined && { version }) })).data?.['value']

describe('versions', () => {
  test('are numbered from 1, and each can be read', async () => {
    const world = createSecretWorld()
    const first = world.now
    expect(await put(world, 'one')).toEqual({ number: 1, createdAt: first, destroyed: false, customMetadata: {} })
    const second = later(world)
    expect(await put(world, 'two')).toMatchObject({ number: 2, createdAt: second })
    expect(await readValue(world)).toBe('two')
    expect(await readValue(world, 1)).toBe('one')
    await expect(readValue(world, 3)).rejects.toThrow(refused('not_found'))
  })

  test('are as many as max_versions says, and the oldest goes', async () => {
    const world = createSecretWorld()
    for (let number = 1; number <= 12; number++) await put(world, number)
    const { versions, current } = await world.secrets.history(asker, { path })
    expect([versions.length, versions[0]?.number, current]).toEqual([10, 3, 12])
    await expect(readValue(world, 2)).rejects.toThrow(refused('not_found'))
    await world.secrets.configure(asker, { path, maxVersions: 2 })
    await put(world, 13)
    expect((await world.secrets.history(asker, { path })).versions.map(({ number }) => number)).toEqual([12, 13])
  })

  test('are deleted, and come back', async () => {
    const world = createSecretWorld()
    await put(world, 'one')
    await put(world, 'two')
    const deletedAt = later(world)
    await world.secrets.delete(asker, { path })
    later(world)
    await world.secrets.delete(asker, { path })
    expect(await world.secrets.read(asker, { path })).toEqual({
      facts: expect.objectContaining({ number: 2, deletedAt, destroyed: false }),
    })
    expect(await readValue(world, 1)).toBe('one')
    await world.secrets.delete(asker, { path, versions: [1] })
    await world.secrets.undelete(asker, { path, versions: [1, 2] })
    expect([await readValue(world, 1), await readValue(world)]).toEqual(['one', 'two'])
  })

  test('are destroyed for ever', async () => {
    const world = createSecretWorld()
    await put(world, 'one')
    await put(world, 'two')
    const before = (await world.store.readDocument(`kv/${path}`)).body
    await world.secrets.destroy(asker, { path, versions: [1] })
    const { body } = await world.store.readDocument(`kv/${path}`)
    const sealed = JSON.parse(before).data['1'] as string
    expect(body).not.toContain(sealed)
    expect(await world.secrets.read(asker, { path, version: 1 })).toEqual({
      facts: expect.objectContaining({ number: 1, destroyed: true }),
    })
    await expect(world.secrets.undelete(asker, { path, versions: [1] })).rejects.toThrow(refused('conflict'))
    const document = JSON.parse(body)
    const putBack = JSON.stringify({ ...document, data: { ...document.data, 1: sealed } })
    await world.store.writeDocument(`kv/${path}`, 3, putBack)
    expect(await world.secrets.read(asker, { path, version: 1 })).not.toHaveProperty('data')
  })

  test('and all else of a path go by a purge, and numbers start anew', async () => {
    const world = createSecretWorld()
    await put(world, 'one')
    await put(world, 'two')
    await world.secrets.purge(asker, { path })
    expect(await world.store.listDocuments({ prefix: '' })).toEqual([])
    for (const asked of [
      world.secrets.history(asker, { path }),
      readValue(world),
      world.secrets.purge(asker, { path }),
    ])
      await expect(asked).rejects.toThrow(refused('not_found'))
    expect(await put(world, 'new', 0)).toMatchObject({ number: 1 })
    await expect(readValue(world, 2)).rejects.toThrow(refused('not_found'))
  })

  test.each(['delete', 'undelete', 'destroy'] as const)('%s names only versions that are there', async (operation) => {
    const world = createSecretWorld()
    await expect(world.secrets[operation](asker, { path, versions: [1] })).rejects.toThrow(refused('not_found'))
    await put(world, 'one')
    await expect(world.secrets[operation](asker, { path, versions: [1, 2] })).rejects.toThrow(refused('not_found'))
    expect(await readValue(world)).toBe('one')
  })
})

describe('check-and-set', () => {
  test.each([
    ['a first version', 0, 0, 'written'],
    ['the version before', 2, 2, 'written'],
    ['an older version', 2, 1, 'conflict'],
    ['one that is there', 2, 0, 'conflict'],
    ['one that is not there yet', 0, 1, 'conflict'],
  ])('%s', async (_, versions, cas, outcome) => {
    const world = createSecretWorld()
    for (let number = 1; number <= versions; number++) await put(world, number)
    const written = put(world, 'new', cas)
    if (outcome === 'written') expect((await written).number).toBe(versions + 1)
    else await expect(written).rejects.toThrow(refused(outcome))
    expect(await world.secrets.history(asker, { path }).catch(() => ({ current: 0 }))).toMatchObject({
      current: outcome === 'written' ? versions + 1 : versions,
    })
  })

  test('can be asked for before the first version', async () => {
    const world = createSecretWorld()
    await world.secrets.configure(asker, { path, casRequired: true })
    await expect(readValue(world)).rejects.toThrow(refused('not_found'))
    await expect(world.secrets.delete(asker, { path })).rejects.toThrow(refused('not_found'))
    await expect(put(world, 'one')).rejects.toThrow(refused('malformed_request'))
    expect((await put(world, 'one', 0)).number).toBe(1)
  })
})

describe('data', () => {
  test('is patched: what is null goes, what is new comes, the rest stays', async () => {
    const world = createSecretWorld()
    await world.secrets.write(asker, { path, data: { user: 'u', password: 'p', deep: { a: 1, b: 2 } } })
    const patch = { password: 'q', user: null, deep: { a: null, c: 3 } }
    expect((await world.secrets.patch(asker, { path, data: patch, cas: 1 })).number).toBe(2)
    expect((await world.secrets.read(asker, { path })).data).toEqual({ password: 'q', deep: { b: 2, c: 3 } })
  })

  test.each<[string, (world: SecretWorld) => Promise<unknown>]>([
    ['nothing', async () => undefined],
    ['what is deleted', async (world) => [await put(world, 1), await world.secrets.delete(asker, { path })]],
    [
      'what is destroyed',
      async (world) => [await put(world, 1), await world.secrets.destroy(asker, { path, versions: [1] })],
    ],
  ])('%s is not patched', async (_, prepare) => {
    const world = createSecretWorld()
    await prepare(world)
    await expect(world.secrets.patch(asker, { path, data: { a: 1 } })).rejects.toThrow(refused('not_found'))
  })

  test.each([
    ['a text', 'x'],
    ['a list', [1]],
    ['nothing', undefined],
    ['null', null],
    ['an empty key', { '': 1 }],
    ['more than 64 KiB', { a: 'x'.repeat(65_536) }],
    ['a number that would change', { a: [{ b: 2 ** 53 + 2 }] }],
  ])('is not %s', async (_, data) => {
    const world = createSecretWorld()
    await expect(world.secrets.write(asker, { path, data })).rejects.toThrow(refused('malformed_request'))
    expect(await world.store.listDocuments({ prefix: '' })).toEqual([])
    expect(world.entries).toMatchObject([{ operation: 'kv.write', decision: 'refused', code: 'malformed_request' }])
  })

  test('is of up to 64 KiB, in ten versions and no more than fit one document', async () => {
    const world = createSecretWorld()
    const data = { a: 'x'.repeat(65_536 - 8) }
    for (let number = 1; number <= 11; number++) await world.secrets.write(asker, { path, data })
    await world.secrets.configure(asker, { path, maxVersions: 100 })
    await world.secrets.write(asker, { path, data })
    await expect(world.secrets.write(asker, { path, data })).rejects.toThrow(refused('conflict'))
    await world.secrets.destroy(asker, { path, versions: [2] })
    expect((await world.secrets.write(asker, { path, data })).number).toBe(13)
  })
})

describe('a list', () => {
  const folder = (text: string) => parseSecretFolder(text)
  async function worldOf(...paths: readonly string[]) {
    const world = createSecretWorld()
    for (const text of paths) await world.secrets.write(asker, { path: parseSecretPath(text), data: {} })
    return world
  }
  const listAll = async (world: SecretWorld, of: string, limit: number) => {
    const keys: string[] = []
    for (let more = true; more; ) {
      const after = keys.at(-1)
      const page = await world.secrets.list(asker, { folder: folder(of), limit, ...(after !== undefined && { after }) })
      expect(page.keys.length).toBeLessThanOrEqual(limit)
      keys.push(...page.keys)
      more = page.more
    }
    return keys
  }

  test.each([1, 2, 3, 100])('names secrets and folders of one level, %i at a time', async (limit) => {
    const world = await worldOf('a', 'a/b', 'a/c/d', 'a/c/e', 'a/c/f', 'a-b', 'a.b/x', 'b/x', 'b/y', 'b/z', 'c')
    expect(await listAll(world, '', limit)).toEqual(['a', 'a-b', 'a.b/', 'a/', 'b/', 'c'])
    expect(await listAll(world, 'a/', limit)).toEqual(['b', 'c/'])
    expect(await listAll(world, 'a/c', limit)).toEqual(['d', 'e', 'f'])
  })

  test('of nothing is not found', async () => {
    const world = await worldOf('a')
    for (const of of ['a', 'b', 'a/b'])
      await expect(world.secrets.list(asker, { folder: folder(of), limit: 9 })).rejects.toThrow(refused('not_found'))
  })

  test('goes on behind the last key', async () => {
    const world = await worldOf('a/b', 'c')
    expect(await world.secrets.list(asker, { folder: folder(''), after: 'c', limit: 9 })).toEqual({
      keys: [],
      more: false,
    })
  })

  test('does not read through the folders that it names', async () => {
    const world = await worldOf(...Array.from({ length: 200 }, (_, index) => `big/${index}`), 'c')
    let read = 0
    world.store.beforeRead = () => void read++
    expect(await listAll(world, '', 10)).toEqual(['big/', 'c'])
    expect(read).toBeLessThanOrEqual(3)
  })
})

describe('what is in the store', () => {
  test('is not readable, apart from the path', async () => {
    const world = createSecretWorld()
    await world.secrets.write(asker, { path, data: { [planted]: planted } })
    await world.secrets.configure(asker, { path, customMetadata: { owner: planted } })
    const { body } = await world.store.readDocument(`kv/${path}`)
    expect(body).not.toContain(planted)
    expect(Buffer.from(JSON.parse(body).metadata, 'base64url').toString('latin1')).not.toContain(planted)
  })

  test.each<[string, (body: string) => { readonly to: string; readonly body: string }]>([
    ['under another path', (body) => ({ to: 'payments/other', body })],
    [
      'as another version',
      (body) => {
        const { metadata, data } = JSON.parse(body)
        return { to: path, body: JSON.stringify({ metadata, data: { 1: data[2], 2: data[1] } }) }
      },
    ],
    ['without a version', (body) => ({ to: path, body: JSON.stringify({ ...JSON.parse(body), data: {} }) })],
    ['as something else', () => ({ to: path, body: '[]' })],
    ['as no JSON', () => ({ to: path, body: 'x' })],
  ])('does not open %s', async (_, move) => {
    const world = createSecretWorld()
    await put(world, 'one')
    await put(world, 'two')
    const { body } = await world.store.readDocument(`kv/${path}`)
    const moved = move(body)
    const { version } = await world.store.readDocument(`kv/${moved.to}`)
    await world.store.writeDocument(`kv/${moved.to}`, version, moved.body)
    await expect(world.secrets.read(asker, { path: parseSecretPath(moved.to) })).rejects.toBeInstanceOf(SealError)
  })

  test('does not open under another seal key, and is left as it is', async () => {
    const [world, other] = [createSecretWorld(), createSecretWorld(randomBytes(32))]
    await put(world, 'one')
    const copy = world.store.backUp()
    other.store.restore(copy)
    for (const attempt of [put(other, 'two'), readValue(other), other.secrets.delete(asker, { path })])
      await expect(attempt).rejects.toBeInstanceOf(SealError)
    expect(other.store.backUp()).toEqual(copy)
    expect(other.entries).toEqual([])
  })
})

describe('records', () => {
  test('tell each act with its path and version, and nothing of the data', async () => {
    const world = createSecretWorld()
    const { secrets } = world
    await put(world, planted)
    await secrets.patch(asker, { path, data: { more: planted } })
    await secrets.read(asker, { path })
    await secrets.history(asker, { path })
    await secrets.list(asker, { folder: parseSecretFolder('payments'), limit: 1 })
    await secrets.delete(asker, { path })
    await secrets.read(asker, { path })
    await secrets.undelete(asker, { path, versions: [2] })
    await secrets.destroy(asker, { path, versions: [1, 2] })
    await secrets.configure(asker, { path, customMetadata: { owner: planted }, maxVersions: 3 })
    await secrets.purge(asker, { path })
    expect(world.entries.map(({ operation, decision, details }) => ({ operation, decision, ...details }))).toEqual([
      { operation: 'kv.write', decision: 'granted', path, version: 1 },
      { operation: 'kv.patch', decision: 'granted', path, version: 2 },
      { operation: 'kv.read', decision: 'granted', path, version: 2 },
      { operation: 'kv.history', decision: 'granted', path },
      { operation: 'kv.list', decision: 'granted', path: 'payments/' },
      { operation: 'kv.delete', decision: 'granted', path, versions: [2] },
      { operation: 'kv.read', decision: 'refused', path, version: 2 },
      { operation: 'kv.undelete', decision: 'granted', path, versions: [2] },
      { operation: 'kv.destroy', decision: 'granted', path, versions: [1, 2] },
      { operation: 'kv.configure', decision: 'granted', path, changed: ['customMetadata', 'maxVersions'] },
      { operation: 'kv.purge', decision: 'granted', path },
    ])
    for (const entry of world.entries) expect(entry.requestId).toBe('r1')
    expect(world.recordText()).not.toContain(planted)
  })

  test.each<[string, (secrets: SecretKeeper<SecretOperator>) => Promise<unknown>]>([
    ['a value is not handed out', (secrets) => secrets.read(asker, { path })],
    ['a version is not written', (secrets) => secrets.write(asker, { path, data: { value: 'two' } })],
    ['a version is not destroyed', (secrets) => secrets.destroy(asker, { path, versions: [1] })],
    ['a secret is not purged', (secrets) => secrets.purge(asker, { path })],
    ['names are not listed', (secrets) => secrets.list(asker, { folder: parseSecretFolder(''), limit: 1 })],
  ])('that can not be kept: %s', async (_, attempt) => {
    const world = createSecretWorld()
    await put(world, 'one')
    const before = world.store.backUp()
    world.beforeAppend = () => {
      throw new Refusal('store_unavailable', 'the disk is full')
    }
    await expect(attempt(world.secrets)).rejects.toThrow(refused('store_unavailable'))
    expect(world.store.backUp()).toEqual(before)
    expect(world.entries).toHaveLength(1)
  })

  test('say that the store could not be read', async () => {
    const world = createSecretWorld()
    world.store.beforeRead = () => {
      throw new StoreError('unavailable', 'no disk')
    }
    await expect(readValue(world)).rejects.toThrow(refused('store_unavailable'))
    expect(world.entries).toMatchObject([{ operation: 'kv.read', code: 'store_unavailable', details: { path } }])
  })
})

describe('many at once', () => {
  test('each have a version of their own', async () => {
    const world = createSecretWorld()
    const written = await Promise.all(Array.from({ length: 20 }, (_, index) => put(world, index)))
    const numbers = written.map(({ number }) => number)
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
    const { versions } = await world.secrets.history(asker, { path })
    for (const { number } of versions) expect(await readValue(world, number)).toBe(numbers.indexOf(number))
    expect(world.entries.filter(({ operation }) => operation === 'kv.write')).toHaveLength(20)
  })

  test('with check-and-set one succeeds, and the others are told', async () => {
    const world = createSecretWorld()
    await put(world, 'one')
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => put(world, index, 1)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'conflict' })
  })

  test('a change of the settings meanwhile does not fail a write with check-and-set', async () => {
    const world = createSecretWorld()
    await put(world, 'one')
    let raced = false
    world.beforeAppend = async () => {
      if (raced) return
      raced = true
      await world.secrets.configure(asker, { path, maxVersions: 5 })
    }
    expect((await put(world, 'two', 1)).number).toBe(2)
    expect((await world.secrets.history(asker, { path })).maxVersions).toBe(5)
  })

  test('a write does not bring back what was purged meanwhile', async () => {
    const world = createSecretWorld()
    await put(world, 'one')
    let raced = false
    world.beforeAppend = async () => {
      if (raced) return
      raced = true
      await world.secrets.purge(asker, { path })
      await put(world, 'other')
    }
    expect((await put(world, 'two')).number).toBe(2)
    expect(await readValue(world, 1)).toBe('other')
  })

  test('whoever never gets a turn is told to come again', async () => {
    const world = createSecretWorld()
    let count = 0
    world.beforeAppend = () => {
      const name = `kv/${path}`
      if (++count > 100) return
      const { version, body } = world.store.backUp().get(name) ?? { version: 0, body: '' }
      if (version > 0) world.store.apply({ name, expected: version, body })
    }
    count = 100
    await put(world, 'one')
    count = 0
    await expect(put(world, 'two')).rejects.toThrow(refused('overloaded'))
  })
})

describe('any sequence of acts', () => {
  type Model = { value?: string; deleted: boolean }[]
  const act = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), value: fc.string(), cas: fc.option(fc.nat(8), { nil: undefined }) }),
    fc.record({
      kind: fc.constantFrom('delete' as const, 'undelete' as const, 'destroy' as const),
      versions: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('purge' as const) }),
  )
  type Act = typeof act extends fc.Arbitrary<infer Value> ? Value : never

  /** What a plain reading of KV v2 makes of it; `undefined` where it says no. */
  function play(model: Model, step: Act): Model | undefined {
    if (step.kind === 'put') {
      if (step.cas !== undefined && step.cas !== model.length) return undefined
      return [...model, { value: step.value, deleted: false }]
    }
    if (model.length === 0) return undefined
    if (step.kind === 'purge') return []
    const kept = (number: number) => number <= model.length && number > model.length - 3
    if (!step.versions.every(kept)) return undefined
    if (step.kind === 'undelete' && step.versions.some((number) => model[number - 1]?.value === undefined))
      return undefined
    return model.map((version, index) => {
      if (!step.versions.includes(index + 1)) return version
      if (step.kind === 'destroy') return { deleted: version.deleted }
      if (step.kind === 'undelete') return { ...version, deleted: false }
      return version.value === undefined ? version : { ...version, deleted: true }
    })
  }

  const run = (secrets: SecretKeeper<SecretOperator>, step: Act): Promise<unknown> => {
    if (step.kind === 'put')
      return secrets.write(asker, {
        path,
        data: { value: step.value },
        ...(step.cas !== undefined && { cas: step.cas }),
      })
    return step.kind === 'purge'
      ? secrets.purge(asker, { path })
      : secrets[step.kind](asker, { path, versions: step.versions })
  }

  test('ends as the model does, with a record of each', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 25 }), async (steps) => {
        const world = createSecretWorld()
        let model: Model = []
        for (const step of steps) {
          if (model.length === 0) await world.secrets.configure(asker, { path, maxVersions: 3 })
          const next = play(model, step)
          const outcome = await run(world.secrets, step).then(
            () => 'done',
            (error: Refusal) => error.code,
          )
          expect(outcome === 'done').toBe(next !== undefined || (step.kind === 'purge' && model.length === 0))
          expect(world.entries.at(-1)).toMatchObject({
            operation: step.kind === 'put' ? 'kv.write' : `kv.${step.kind}`,
            decision: outcome === 'done' ? 'granted' : 'refused',
          })
          model = next ?? model
        }
        for (const [index, { value, deleted }] of model.entries()) {
          const version = index + 1
          const found = await world.secrets.read(asker, { path, version }).catch(() => undefined)
          const isKept = version > model.length - 3
          expect(found !== undefined).toBe(isKept)
          expect(found?.data?.['value']).toBe(isKept && !deleted ? value : undefined)
          if (isKept) expect(found?.facts.destroyed).toBe(value === undefined)
        }
      }),
      { numRuns: 60 },
    )
  })
})
