import { expect, test } from 'vitest'
import { formatBigints, formatByteStrings, formatTexts } from '../../../src/adapters/stores/postgres-arrays.node.ts'

/** One dimension without NULLs, of that type and length, whose index begins with one. */
const head = (oid: string, length: string) => `00000001 00000000 ${oid} ${length} 00000001`
const hexOf = (array: Buffer) => array.toString('hex')
const hex = (...parts: readonly string[]) => parts.join('').replaceAll(' ', '')

test('numbers up to the largest safe one, and below zero', () => {
  expect(hexOf(formatBigints([1, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER, -2]))).toBe(
    hex(
      head('00000014', '00000004'),
      ...['0000000000000001', '0000000100000005', '001fffffffffffff', 'fffffffffffffffe'].map((n) => `00000008 ${n}`),
    ),
  )
})

test('byte strings, empty ones as well', () => {
  expect(hexOf(formatByteStrings([Uint8Array.of(0, 255), new Uint8Array()]))).toBe(
    hex(head('00000011', '00000002'), '00000002 00ff', '00000000'),
  )
})

test('texts in UTF-8, with what the text form would have to escape', () => {
  expect(hexOf(formatTexts(['a"\\{', '', 'é€😀']))).toBe(
    hex(head('00000019', '00000003'), '00000004 61225c7b', '00000000', '00000009 c3a9 e282ac f09f9880'),
  )
})

test('none of them', () => {
  for (const [array, oid] of [
    [formatBigints([]), '00000014'],
    [formatByteStrings([]), '00000011'],
    [formatTexts([]), '00000019'],
  ] as const)
    expect(hexOf(array)).toBe(hex(head(oid, '00000000')))
})
