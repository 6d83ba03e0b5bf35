import { describe, expect, test } from 'vitest'
import { addressPrefix, createRefusalLimiter } from '../../src/core/refusal-limiter.ts'

const at = (seconds: number) => new Date(Date.parse('2026-01-01T12:00:00.000Z') + seconds * 1000)
const create = (perMinute: number) => createRefusalLimiter({ perMinute: () => perMinute })
const countsOf = (entries: ReturnType<ReturnType<typeof create>['takeCounted']>) =>
  entries.map(({ code, address, details }) => [code, address, details?.['count']])

test('so many of a minute are recorded, the others counted by code and prefix', () => {
  const limiter = create(2)
  const admitted = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.1.1'].map((address) =>
    limiter.admit(at(1), 'proof_rejected', address),
  )
  limiter.admit(at(59), 'malformed_request', '10.0.0.3')
  expect(admitted).toEqual([true, true, false, false, false])
  expect(limiter.takeCounted(at(59))).toEqual([])
  const entries = limiter.takeCounted(at(60))
  expect(countsOf(entries)).toEqual([
    ['proof_rejected', '10.0.0.0/24', 2],
    ['proof_rejected', '10.0.1.0/24', 1],
    ['malformed_request', '10.0.0.0/24', 1],
  ])
  expect(entries[0]).toEqual({
    time: at(60),
    operation: 'refusals.counted',
    decision: 'refused',
    code: 'proof_rejected',
    address: '10.0.0.0/24',
    details: { count: 2, minute: '2026-01-01T12:00:00.000Z' },
  })
  expect(limiter.takeCounted(at(120))).toEqual([])
})

test('each minute has the whole limit, also after the clock was set back', () => {
  const limiter = create(1)
  const admit = (seconds: number) => limiter.admit(at(seconds), 'proof_rejected', '10.0.0.1')
  expect([admit(0), admit(30), admit(60), admit(61), admit(-3600), admit(-3599)]).toEqual([
    true,
    false,
    true,
    false,
    true,
    false,
  ])
})

test('the limit may change from one refusal to the next', () => {
  let limit = 1
  const limiter = createRefusalLimiter({ perMinute: () => limit })
  const admit = () => limiter.admit(at(0), 'proof_rejected', '10.0.0.1')
  expect([admit(), admit()]).toEqual([true, false])
  limit = 10
  expect(admit()).toBe(true)
})

test('at a stop the counts of the present minute are handed out as well', () => {
  const limiter = create(0)
  limiter.admit(at(0), 'proof_rejected', '10.0.0.1')
  expect(countsOf(limiter.takeCounted(at(1), { all: true }))).toEqual([['proof_rejected', '10.0.0.0/24', 1]])
  expect(limiter.takeCounted(at(1), { all: true })).toEqual([])
})

test('a flood from everywhere is bounded, and nothing of it uncounted', () => {
  const limiter = create(0)
  for (let n = 0; n < 5000; n++) limiter.admit(at(0), 'proof_rejected', `10.${n >> 8}.${n & 255}.1`)
  limiter.admit(at(0), 'proof_rejected', '10.0.0.9')
  const counts = countsOf(limiter.takeCounted(at(60)))
  expect(counts.length).toBe(1001)
  expect(counts.find(([, address]) => address === 'other')?.[2]).toBe(4000)
  expect(counts.find(([, address]) => address === '10.0.0.0/24')?.[2]).toBe(2)
})

describe('the prefix of an address', () => {
  test.each([
    ['192.0.2.77', '192.0.2.0/24'],
    ['::ffff:192.0.2.77', '192.0.2.0/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
    ['2001:db8::1', '2001:db8:0::/48'],
    ['fe80::1%eth0', 'fe80:0:0::/48'],
    ['', 'unknown'],
    ['not an address', 'unknown'],
  ])('%j is under %s', (address, prefix) => {
    expect(addressPrefix(address)).toBe(prefix)
  })
})
