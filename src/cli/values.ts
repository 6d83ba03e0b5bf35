/**
 * Values of flags: text → value, or what was expected instead.
 *
 * @module
 */
import { InvalidArgumentError } from 'commander'

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** `90s`, `5m`, `1h`, `7d` → seconds, as in the configuration. */
export function parseDuration(text: string): number {
  const seconds = durationSeconds(text)
  if (seconds === undefined) throw new InvalidArgumentError('expected a duration such as 90s, 5m, 1h or 7d.')
  return seconds
}

function durationSeconds(text: string): number | undefined {
  const match = /^([1-9]\d{0,8})([smhd])$/.exec(text)
  return match ? Number(match[1]) * unitSeconds[match[2] as keyof typeof unitSeconds] : undefined
}

/** A time of RFC 3339, or a duration: that long before `now`. */
export function parseTime(text: string, now: Date): Date {
  const seconds = durationSeconds(text)
  if (seconds !== undefined) return new Date(now.getTime() - seconds * 1000)
  const time = timePattern.test(text) ? new Date(text) : undefined
  if (time === undefined || Number.isNaN(time.getTime()))
    throw new InvalidArgumentError(
      'expected a time such as 2026-11-23T02:05:00Z, or a duration such as 1h for an hour ago.',
    )
  return time
}

const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

export function parseCount(text: string): number {
  const count = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0
  if (count === 0) throw new InvalidArgumentError('expected a whole number above 0.')
  return count
}

/** 1 to 64. */
export function parseWorkers(text: string): number {
  const count = /^[1-9]\d?$/.test(text) ? Number(text) : 65
  if (count > 64) throw new InvalidArgumentError('expected a number of processes from 1 to 64.')
  return count
}

/** 0 to 65535. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 65_536
  if (port > 65_535) throw new InvalidArgumentError('expected a port from 0 to 65535.')
  return port
}

/** Adds `name=value` to those that were given before. */
export function collectPairs(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('expected NAME=VALUE.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

/** For flags that may be given again and again. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

/** https, or http to this machine: a proof must not cross a network in the clear. */
export function parseServerUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !['https:', 'http:'].includes(url.protocol) || url.search !== '' || url.hash !== '')
    throw new InvalidArgumentError('expected a URL such as https://id.example.org.')
  if (url.username !== '' || url.password !== '')
    throw new InvalidArgumentError('a proof is given with --token-file or --cert-file, not in the URL.')
  if (url.protocol === 'http:' && !/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname))
    throw new InvalidArgumentError('http would show the proof to the network: use https.')
  return url
}
