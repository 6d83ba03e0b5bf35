import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runCli } from './run-cli.ts'

let cache: string
const folder = () => join(cache, 'apostille')
const run = (env: Readonly<Record<string, string>> = {}) =>
  runCli(['--version'], { env: { NODE_COMPILE_CACHE: '', XDG_CACHE_HOME: cache, ...env } })

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'apostille-cache-'))
})
afterEach(() => rmSync(cache, { recursive: true, force: true }))

test('compiled code is kept in a folder of the user, which nobody else can read', async () => {
  expect((await run()).code).toBe(0)

  expect(readdirSync(folder())).toHaveLength(1)
  expect(lstatSync(folder()).mode & 0o777).toBe(0o700)
})

test('without XDG_CACHE_HOME it is below the home folder', async () => {
  expect((await run({ XDG_CACHE_HOME: '', HOME: cache })).code).toBe(0)

  expect(readdirSync(join(cache, '.cache/apostille'))).toHaveLength(1)
})

test('a relative XDG_CACHE_HOME is passed over, as its specification asks', async () => {
  expect((await run({ XDG_CACHE_HOME: 'here', HOME: cache })).code).toBe(0)

  expect(existsSync(join(cache, '.cache/apostille'))).toBe(true)
})

test('a folder in which others can write is left alone', async () => {
  mkdirSync(folder())
  chmodSync(folder(), 0o770)

  expect((await run()).code).toBe(0)
  expect(readdirSync(folder())).toEqual([])
})

test('a file in its place keeps no command from running', async () => {
  writeFileSync(folder(), 'mine')

  expect((await run()).code).toBe(0)
})
