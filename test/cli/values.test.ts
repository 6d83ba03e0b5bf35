import { expect, test } from 'vitest'
import {
  collect,
  collectPairs,
  parseCount,
  parseDuration,
  parsePort,
  parseServerUrl,
  parseTime,
  parseWorkers,
} from '../../src/cli/values.ts'

const now = new Date('2026-11-23T02:05:00Z')
const invalid = expect.objectContaining({ code: 'commander.invalidArgument' })

test.each([
  ['90s', 90],
  ['5m', 300],
  ['1h', 3600],
  ['7d', 604_800],
])('reads the duration %s', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds)
})

test.each(['', '5', '0m', '5 m', '1w', '-5m', '1.5h', '5M'])('refuses the duration "%s"', (text) => {
  expect(() => parseDuration(text)).toThrow(invalid)
})

test.each([
  ['2026-11-23T02:05:00Z', '2026-11-23T02:05:00.000Z'],
  ['2026-11-23T03:05:00+01:00', '2026-11-23T02:05:00.000Z'],
  ['1h', '2026-11-23T01:05:00.000Z'],
])('reads the time %s', (text, time) => {
  expect(parseTime(text, now).toISOString()).toBe(time)
})

test.each(['', 'yesterday', '2026-11-23', '2026-13-23T02:05:00Z', '2026-11-23T02:05:00'])(
  'refuses the time "%s"',
  (text) => {
    expect(() => parseTime(text, now)).toThrow(invalid)
  },
)

test.each(['0', '-1', '1.5', 'x', ''])('refuses the count "%s"', (text) => {
  expect(() => parseCount(text)).toThrow(invalid)
})

test.each([
  ['0', 0],
  ['8443', 8443],
  ['65535', 65_535],
])('reads the port %s', (text, port) => {
  expect(parsePort(text)).toBe(port)
})

test.each(['65536', '-1', '', 'http'])('refuses the port "%s"', (text) => {
  expect(() => parsePort(text)).toThrow(invalid)
})

test.each([
  'https://id.example.org',
  'https://id.example.org/below',
  'http://127.0.0.1:8080',
  'http://localhost',
  'http://[::1]:1',
])('takes the server %s', (text) => {
  expect(parseServerUrl(text).href.replace(/\/$/, '')).toBe(text)
})

test.each([
  'id.example.org',
  'http://id.example.org',
  'https://user:pass@id.example.org',
  'https://id.example.org/?a=b',
  'ftp://x',
  '',
])('refuses the server "%s"', (text) => {
  expect(() => parseServerUrl(text)).toThrow(invalid)
})

test('collects what is given again and again', () => {
  expect(collect('b', collect('a', undefined))).toEqual(['a', 'b'])
  expect(collectPairs('c=d=e', collectPairs('a=b', undefined))).toEqual({ a: 'b', c: 'd=e' })
  expect(() => collectPairs('=b', {})).toThrow(invalid)
})

test.each([
  ['1', 1],
  ['64', 64],
])('%s workers', (text, count) => {
  expect(parseWorkers(text)).toBe(count)
})

test.each(['0', '65', '1.5', '-1', '', 'auto', '007'])('%s is no number of workers', (text) => {
  expect(() => parseWorkers(text)).toThrow('expected a number of processes from 1 to 64.')
})
