import { expect, test } from 'vitest'
import { CrowdedOut, createHostTurns } from '../../src/adapters/host-turns.ts'

/** Whether the promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise
    .catch(() => undefined)
    .finally(() => {
      settled = true
    })
  await new Promise(setImmediate)
  return settled
}

test('so many have a turn at a host at a time, and the rest follow in their order', async () => {
  const turns = createHostTurns(2)
  const [end] = await Promise.all([turns('a', undefined), turns('a', undefined)])
  const third = turns('a', undefined)
  const fourth = turns('a', undefined)
  await turns('b', undefined)
  expect(await isSettled(third)).toBe(false)
  end?.()
  expect([await isSettled(third), await isSettled(fourth)]).toEqual([true, false])
})

test('whoever waits no longer is crowded out, and the turn goes to the next', async () => {
  const turns = createHostTurns(1)
  const end = await turns('a', undefined)
  const gone = new AbortController()
  const second = turns('a', gone.signal)
  const third = turns('a', undefined)
  gone.abort()
  await expect(second).rejects.toThrow(CrowdedOut)
  expect(await isSettled(third)).toBe(false)
  end()
  expect(await isSettled(third)).toBe(true)
})

test('a turn that is free is had by whoever comes, wanted still or not: what follows says so', async () => {
  await createHostTurns(1)('a', AbortSignal.abort())
})
