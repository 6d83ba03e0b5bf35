import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { type Application, createAtFirstUse } from '../../src/runtime/applications-at-first-use.node.ts'

const request = { destroyed: false } as IncomingMessage
const response = {} as ServerResponse
const settle = () => new Promise((resolve) => setImmediate(resolve))

/** Loads when the test says so. */
function startApplication() {
  const answered: string[] = []
  const failures: string[] = []
  const loads: PromiseWithResolvers<void>[] = []
  const application: Application = (_request, _response, requestId) => answered.push(requestId)
  const load = async () => {
    const loaded = Promise.withResolvers<void>()
    loads.push(loaded)
    await loaded.promise
    return application
  }
  const failed = (_error: unknown, _response: ServerResponse, requestId: string) => failures.push(requestId)
  return { answered, failures, loads, ask: createAtFirstUse(load, failed) }
}

test('is loaded with the first request, and once', async () => {
  const { answered, loads, ask } = startApplication()
  await settle()
  expect(loads).toHaveLength(0)
  ask(request, response, 'a')
  ask(request, response, 'b')
  expect([loads.length, answered]).toEqual([1, []])
  loads[0]?.resolve()
  await settle()
  expect(answered).toEqual(['a', 'b'])
  ask(request, response, 'c')
  expect([loads.length, answered]).toEqual([1, ['a', 'b', 'c']])
})

test('leaves a request alone whose peer went away meanwhile', async () => {
  const { answered, loads, ask } = startApplication()
  ask({ destroyed: true } as IncomingMessage, response, 'a')
  loads[0]?.resolve()
  await settle()
  expect(answered).toEqual([])
})

test('is tried again after it could not be loaded', async () => {
  const { answered, failures, loads, ask } = startApplication()
  ask(request, response, 'a')
  ask(request, response, 'b')
  loads[0]?.reject(new Error('gone'))
  await settle()
  expect(failures).toEqual(['a', 'b'])
  ask(request, response, 'c')
  loads[1]?.resolve()
  await settle()
  expect(answered).toEqual(['c'])
})
