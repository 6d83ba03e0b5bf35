import { expect, test } from 'vitest'
import { shareReads } from '../../src/core/shared-reads.ts'
import { createMemorySource } from '../support/memory-source.ts'

const { signal } = new AbortController()

function world(readers: number) {
  const source = createMemorySource()
  const clock = { ms: 0 }
  source.set('a', { value: 'one' })
  const shared = shareReads(source, readers, () => clock.ms)
  const read = async (path = 'a') => (await shared.read(path, signal))?.revision
  return { source, clock, read, shared }
}

test('what several read within a second is read once', async () => {
  const { source, read } = world(3)
  expect(await Promise.all([read(), read()])).toEqual(['1', '1'])
  source.set('a', { value: 'two' })
  expect(await read()).toBe('1')
  expect(source.reads).toBe(1)
})

test('who comes later, or again, is told what it is now', async () => {
  const { source, clock, read } = world(2)
  await read()
  source.set('a', { value: 'two' })
  clock.ms = 1000
  expect(await read()).toBe('2')
  source.set('a', { value: 'three' })
  expect([await read(), await read()]).toEqual(['2', '3'])
})

test('so many are held and no more', async () => {
  const { source, read } = world(2)
  for (let n = 0; n < 300; n++) source.set(`b${n}`, {})
  for (let n = 0; n < 300; n++) await read(`b${n}`)
  const before = source.reads
  await read('b0')
  await read('b299')
  expect(source.reads - before).toBe(1)
})

test('a failure is told to all who share it, and to none after', async () => {
  const { source, read } = world(3)
  source.onRead = () => {
    throw new Error('away')
  }
  expect((await Promise.allSettled([read(), read()])).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  source.onRead = () => undefined
  await expect(read()).rejects.toThrow('away')
  expect(await read()).toBe('1')
})

test('one alone reads by itself', () => {
  const { source, shared } = world(1)
  expect(shared).toBe(source)
})
