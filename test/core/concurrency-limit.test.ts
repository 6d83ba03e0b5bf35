import { expect, test } from 'vitest'
import { createConcurrencyLimit } from '../../src/core/concurrency-limit.ts'

/** Runs that end when the test says so. */
function createRuns(most: number) {
  const limit = createConcurrencyLimit(most)
  const started: string[] = []
  const ends = new Map<string, PromiseWithResolvers<string>>()
  const run = (name: string) => {
    ends.set(name, Promise.withResolvers<string>())
    return limit(async () => {
      started.push(name)
      return ends.get(name)?.promise
    })
  }
  return {
    started,
    run,
    end: (name: string) => ends.get(name)?.resolve(name),
    fail: (name: string) => ends.get(name)?.reject(new Error(name)),
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('starts no more at once than it may, in the order of the calls', async () => {
  const { started, run, end } = createRuns(2)
  const results = ['a', 'b', 'c', 'd'].map(run)
  await settle()
  expect(started).toEqual(['a', 'b'])
  end('b')
  await settle()
  expect(started).toEqual(['a', 'b', 'c'])
  for (const name of ['c', 'd', 'a']) end(name)
  expect(await Promise.all(results)).toEqual(['a', 'b', 'c', 'd'])
})

test('what fails leaves its place', async () => {
  const { started, run, end, fail } = createRuns(1)
  const first = run('a')
  const second = run('b')
  fail('a')
  await expect(first).rejects.toThrow('a')
  end('b')
  expect(await second).toBe('b')
  expect(started).toEqual(['a', 'b'])
})
