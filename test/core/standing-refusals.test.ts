import { expect, test } from 'vitest'
import { CloudError } from '../../src/core/cloud.ts'
import { createStandingRefusals } from '../../src/core/standing-refusals.ts'

const no = (code: string) => new CloudError('refused', 'no', { code })

test('a refusal stands for five seconds from the last time', () => {
  const standing = createStandingRefusals()
  expect(standing.get('a', 0)).toBeUndefined()
  standing.add('a', no('First'), 0)
  expect(standing.get('a', 4999)).toMatchObject({ error: { code: 'First' }, leftMs: 1 })
  expect(standing.get('b', 0)).toBeUndefined()
  expect(standing.get('a', 5000)).toBeUndefined()
  standing.add('a', no('Second'), 6000)
  expect(standing.get('a', 6000)).toMatchObject({ error: { code: 'Second' }, leftMs: 5000 })
})

test('so many are kept and no more, the newest', () => {
  const standing = createStandingRefusals()
  for (let n = 0; n < 10_010; n++) standing.add(String(n), no('Code'), 0)
  expect(['9', '10', '10009'].map((key) => standing.get(key, 0) !== undefined)).toEqual([false, true, true])
})
