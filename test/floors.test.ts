import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

/** What each floor of `src/` may import besides itself. */
const mayImport: Record<string, readonly string[]> = {
  protocol: [],
  core: ['protocol'],
  adapters: ['core', 'protocol'],
  http: ['core', 'protocol'],
  sdk: ['protocol'],
  agent: ['sdk', 'protocol'],
  runtime: ['adapters', 'http', 'agent', 'sdk', 'core', 'protocol'],
  cli: ['runtime', 'sdk', 'protocol'],
  '': ['sdk'],
}

/** Node's own modules that both runtimes have. */
const everywhere = new Set(['node:crypto', 'node:buffer'])

/** Libraries that touch keys or certificates: one file each. */
const oneFileOnly = ['jose', '@peculiar/x509']

const root = join(import.meta.dirname, '..')
const files = globSync('src/**/*.ts', { cwd: root }).map((file) => {
  const text = readFileSync(join(root, file), 'utf8')
  const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '')
  return { file, text, imports, floor: floorOf(file) }
})

function floorOf(file: string): string {
  return file.split('/').length > 2 ? (file.split('/')[1] ?? '') : ''
}

test('there are files to check', () => {
  expect(files.length).toBeGreaterThan(10)
})

test('a floor imports only itself and the floors below', () => {
  const wrong = files.flatMap(({ file, imports, floor }) =>
    imports
      .filter((name) => name.startsWith('.'))
      .map((name) => relative(root, join(root, dirname(file), name)))
      // What is generated belongs to no floor.
      .filter((target) => !target.startsWith('schema/'))
      .map(floorOf)
      .filter((target) => target !== floor && !(mayImport[floor] ?? []).includes(target))
      .map((target) => `${file} imports ${target}`),
  )
  expect(wrong).toEqual([])
})

test('only files of one runtime import that runtime', () => {
  const wrong = files
    .filter(({ file, floor }) => !/\.(node|worker)\.ts$/.test(file) && floor !== 'cli' && floor !== 'agent')
    .flatMap(({ file, imports }) =>
      imports
        .filter((name) => /^(node|cloudflare):/.test(name) && !everywhere.has(name))
        .map((name) => `${file} imports ${name}`),
    )
  expect(wrong).toEqual([])
})

test('relative imports name the file that exists', () => {
  const wrong = files.flatMap(({ file, imports }) =>
    imports.filter((name) => name.startsWith('.') && !/\.(ts|json)$/.test(name)).map((name) => `${file}: ${name}`),
  )
  expect(wrong).toEqual([])
})

test('zod is imported whole by name, in http and the configuration only', () => {
  const users = files.filter(({ imports }) => imports.includes('zod'))
  expect(users.filter(({ text }) => !/import (?:type )?\* as z from 'zod'/.test(text)).map(({ file }) => file)).toEqual(
    [],
  )
  expect(
    users.filter(({ file, floor }) => floor !== 'http' && !file.startsWith('src/core/config')).map(({ file }) => file),
  ).toEqual([])
})

test('of what describes the API, what runs takes types only', () => {
  const wrong = files.filter(
    ({ file, text }) =>
      !file.startsWith('src/http/openapi/') &&
      [...text.matchAll(/^import (type )?[^']*'([^']+)'/gm)].some(
        ([, type, name]) => type === undefined && name?.includes('/openapi/'),
      ),
  )
  expect(wrong.map(({ file }) => file)).toEqual([])
})

test.each(oneFileOnly)('%s is imported by one file', (library) => {
  const users = files.filter(({ imports }) => imports.includes(library)).map(({ file }) => file)
  expect(users.length, users.join(', ')).toBeLessThanOrEqual(1)
})

test('no folder is named for what does not say anything', () => {
  const wrong = files.filter(({ file }) => /(^|\/)(utils?|helpers?|common|types|services)(\/|\.ts$)/.test(file))
  expect(wrong.map(({ file }) => file)).toEqual([])
})
