import { expect, test } from 'vitest'
import { Refusal } from '../../src/core/refusal.ts'
import { describeError } from '../../src/runtime/describe-error.ts'

test.each([
  [new Error('text'), 'text'],
  [new Refusal('no_authority', 'why'), 'No signing authority is active: why'],
  ['thrown text', 'thrown text'],
  [undefined, 'undefined'],
])('an error is described for operators', (error, text) => {
  expect(describeError(error)).toBe(text)
})
