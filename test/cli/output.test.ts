import { expect, test } from 'vitest'
import { formatFields, formatMoment, formatSeconds, formatTable, oneLine } from '../../src/cli/output.ts'

test('columns are aligned, and no line ends in a blank', () => {
  const table = formatTable(
    ['ID', 'NAME'],
    [
      ['1', 'long name'],
      ['22', ''],
    ],
  )
  expect(table).toBe('ID  NAME\n1   long name\n22')
})

test.each([
  [true, 40, 'ID  REASON\n1   reason number one, and so much more…'],
  [true, 10, 'ID  REASON\n1   reason number one, and …'],
  [true, 200, 'ID  REASON\n1   reason number one, and so much more of it'],
  [false, 40, 'ID  REASON\n1   reason number one, and so much more of it'],
])('the last column ends where a terminal does (%s, %i)', (isTTY, columns, expected) => {
  const rows = [['1', 'reason number one, and so much more of it']]
  expect(formatTable(['ID', 'REASON'], rows, { isTTY, columns })).toBe(expected)
})

test('values of fields stand in one column, and absent ones are left out', () => {
  expect(
    formatFields([
      ['id', '1'],
      ['none', undefined],
      ['longer', '2'],
    ]),
  ).toBe('id      1\nlonger  2')
})

test.each([
  [0, '0s'],
  [59, '59s'],
  [298, '4m 58s'],
  [3600, '1h'],
  [3661, '1h 1m'],
  [604_799, '6d 23h'],
])('%i seconds are %s', (seconds, expected) => {
  expect(formatSeconds(seconds)).toBe(expected)
})

test.each([
  ['2026-11-23T02:05:02.000Z', '2026-11-23 02:05:02Z (in 4m 58s)'],
  ['2026-11-23T02:00:00.000Z', '2026-11-23 02:00:00Z (4s ago)'],
  ['2026-11-23T02:00:03.900Z', '2026-11-23 02:00:03Z (now)'],
])('a moment says how far it is', (time, expected) => {
  expect(formatMoment(new Date(time), new Date('2026-11-23T02:00:04Z'))).toBe(expected)
})

test.each(['\u001b[31m', '\u009b31m', 'a\nb', '\u202egnp', '\u2028'])('what moves a cursor is not shown', (text) => {
  expect(oneLine(text)).toContain('\ufffd')
  // Names may be a workload's too, as those of custom metadata.
  const [line, ...more] = formatFields([[text, text]]).split('\n')
  expect(more).toEqual([])
  expect(line).toBe(`${oneLine(text)}  ${oneLine(text)}`)
})
