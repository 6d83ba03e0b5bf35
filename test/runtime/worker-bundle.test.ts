import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { buildWorker } from '../../scripts/build-worker.ts'
import { compatibility } from '../../scripts/local-worker.ts'
import { openBundle, type Part, type WorkerBundle } from '../support/worker-bundle.ts'

let bundle: WorkerBundle
beforeAll(async () => {
  bundle = openBundle(await buildWorker())
})

test.each<[Part, number]>([
  ['for every request', 200_000],
  ['whole', 500_000],
])('%s it stays small', (part, bytes) => {
  expect(bundle.size(part)).toBeLessThan(bytes)
})

/** What the libraries of the clouds import. Much of it is never called here, and all of it is there. */
const ofClouds = [
  ...['async_hooks', 'child_process', 'events', 'fs', 'fs/promises', 'http', 'https', 'os', 'path', 'process'],
  ...['stream', 'url', 'util', 'zlib'],
].map((name) => `node:${name}`)
const ofUs = ['cloudflare:workers', 'node:buffer', 'node:crypto']

test.each<[Part, readonly string[]]>([
  ['without clouds', ofUs],
  ['whole', [...ofUs, ...ofClouds].sort()],
])('%s it asks the runtime for a short list of modules', (part, modules) => {
  expect(bundle.runtimeModules(part)).toEqual(modules)
})

test('whose code comes with every request is a short list as well', () => {
  expect(bundle.sources('for every request').filter((source) => !source.startsWith('src/'))).toEqual([
    '@marcbachmann/cel-js',
    'hono',
    'jose',
    'js-yaml',
    'zod',
  ])
})

test('what is deployed runs as what is tested', () => {
  const deployed = readFileSync(join(import.meta.dirname, '../../wrangler.toml'), 'utf8')
  expect(deployed).toContain(`compatibility_date = "${compatibility.compatibilityDate}"`)
  expect(deployed).toContain(`compatibility_flags = ${JSON.stringify(compatibility.compatibilityFlags)}`)
})
