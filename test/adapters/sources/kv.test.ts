import { expect, test } from 'vitest'
import { createKvSource } from '../../../src/adapters/sources/kv.ts'
import { parseSecretPath } from '../../../src/core/secret-path.ts'
import type { SourceEntry } from '../../../src/core/secret-source.ts'
import { StoreError } from '../../../src/core/store.ts'
import { createSecretWorld, type SecretWorld } from '../../support/secret-world.ts'

const asker = { requestId: 'r' }
const at = (path: string) => ({ path: parseSecretPath(path) })
const put = (world: SecretWorld, path: string, value: string) =>
  world.secrets.write(asker, { ...at(path), data: { value } })

const open = () => {
  const world = createSecretWorld()
  return { world, source: createKvSource(world) }
}
const { signal } = new AbortController()

async function list(source: ReturnType<typeof createKvSource>, prefix = ''): Promise<readonly SourceEntry[]> {
  return (await Array.fromAsync(source.list({ prefix, signal }))).flat()
}

test('lists every secret below a prefix, which may end within a segment, with a revision that grows', async () => {
  const { world, source } = open()
  for (const path of ['team/b', 'team/a/deep', 'teams/c', 'other']) await put(world, path, 'x')
  expect(await list(source, 'team')).toEqual([
    { path: 'team/a/deep', revision: '1' },
    { path: 'team/b', revision: '1' },
    { path: 'teams/c', revision: '1' },
  ])
  await put(world, 'team/b', 'y')
  expect(await list(source, 'team/b')).toEqual([{ path: 'team/b', revision: '2' }])
})

test('lists more than a page, each once', async () => {
  const { world, source } = open()
  const names = [...Array(2345).keys()].map((number) => `kv/${number}`)
  world.store.restore(new Map(names.map((name) => [name, { version: 1, body: '' }])))
  const paths = (await list(source)).map(({ path }) => path)
  expect([paths.length, new Set(paths).size]).toEqual([2345, 2345])
})

test('reads the current version, as people count them', async () => {
  const { world, source } = open()
  await put(world, 'a', 'first')
  await world.secrets.configure(asker, { ...at('a'), maxVersions: 5 })
  await put(world, 'a', 'second')
  expect(await source.read('a', signal)).toEqual({
    path: 'a',
    revision: '3',
    version: '2',
    content: { kind: 'fields', fields: { value: 'second' } },
  })
})

test.each([
  ['deleted', (world: SecretWorld) => world.secrets.delete(asker, at('a'))],
  ['destroyed', (world: SecretWorld) => world.secrets.destroy(asker, { ...at('a'), versions: [1] })],
  ['purged', (world: SecretWorld) => world.secrets.purge(asker, at('a'))],
])('what is %s is not there', async (_, remove) => {
  const { world, source } = open()
  await put(world, 'a', 'x')
  await remove(world)
  expect(await source.read('a', signal)).toBeUndefined()
})

test('tells of changes once they are durable, until nobody listens', async () => {
  const { world, source } = open()
  const told: string[] = []
  const end = source.watch?.((path) => told.push(path))
  await put(world, 'a', 'x')
  await world.secrets.delete(asker, at('a'))
  await expect(world.secrets.write(asker, { ...at('a'), data: {}, cas: 9 })).rejects.toThrow()
  expect(told).toEqual(['a', 'a'])
  end?.()
  await put(world, 'b', 'x')
  expect(told).toEqual(['a', 'a'])
})

test('a value that does not open is unreadable, a store that does not answer unreachable', async () => {
  const { world, source } = open()
  await put(world, 'a', 'x')
  const other = createKvSource({ ...createSecretWorld(), store: world.store })
  await expect(other.read('a', signal)).rejects.toMatchObject({ kind: 'unreadable', code: 'seal' })
  world.store.beforeRead = () => {
    throw new StoreError('unavailable', 'locked')
  }
  await expect(source.read('a', signal)).rejects.toMatchObject({ kind: 'unreachable' })
  await expect(list(source)).rejects.toMatchObject({ kind: 'unreachable', code: 'unavailable' })
})
