import { expect, test } from 'vitest'
import { createDoublingPause } from '../../src/adapters/doubling-pause.ts'

const limits = { firstMs: 10, longestMs: 35 }

test('there is no pause before the first attempt', () => {
  const pause = createDoublingPause(limits)
  expect(pause.isOver(0)).toBe(true)
  expect(pause.length()).toBe(0)
})

test('doubles up to its longest while attempts follow at once', () => {
  const pause = createDoublingPause(limits)
  const lengths = [0, 10, 30, 65].map((now) => {
    expect(pause.isOver(now)).toBe(true)
    pause.begin(now)
    expect(pause.isOver(now + pause.length() - 1)).toBe(false)
    return pause.length()
  })
  expect(lengths).toEqual([10, 20, 35, 35])
})

test('starts again after a rest longer than itself', () => {
  const pause = createDoublingPause(limits)
  pause.begin(0)
  pause.begin(10)
  pause.begin(51)
  expect(pause.length()).toBe(10)
})

test('ends with an attempt that was not in vain', () => {
  const pause = createDoublingPause(limits)
  pause.begin(0)
  pause.end()
  expect(pause.isOver(0)).toBe(true)
  expect(pause.length()).toBe(0)
})
