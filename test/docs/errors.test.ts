/** The page of errors has each code of the sources; the compiler holds those that have a type. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commandRows, protocolRows, refusalRows, sdkRows, storeRows } from '../../scripts/docs/errors-page.ts'
import { readPage, root } from './pages.ts'

/** Where a command's code is made. */
const sources = globSync(['src/cli/**/*.ts', 'src/runtime/start-failure.node.ts'], { cwd: root })
const used = new Set(
  sources.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/\bcode: '(\w+)'/g)].map(([, code]) => code!),
  ),
)

test('there are codes in the sources', () => {
  expect(used.size).toBeGreaterThan(20)
})

test.each([...used].toSorted())('%s of a command is on the page', (code) => {
  expect({ ...commandRows, ...refusalRows, ...sdkRows }).toHaveProperty(code)
})

test.each(Object.keys(commandRows))('%s of the page is a code of a command', (code) => {
  const ofTargets = readFileSync(join(root, 'src/runtime/target-setup.node.ts'), 'utf8')
  expect(used.has(code) || ofTargets.includes(`'${code}'`) || Object.hasOwn(refusalRows, code)).toBe(true)
})

describe('a code is in the table it belongs to, with its cause and its remedy', () => {
  const text = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  const tables = { commandRows, protocolRows, refusalRows, sdkRows, storeRows }
  test.each(Object.entries(tables))('%s', (_name, rows) => {
    for (const [code, [cause, remedy]] of Object.entries(rows)) {
      expect(text).toContain(`\`${code}\` | ${cause} | ${remedy} |`)
      expect([cause, remedy].join(' ')).not.toMatch(/\n|undefined/)
    }
  })
})

test('each table has a heading that others can link to', () => {
  const slugs = readPage('docs/errors.md').headings.map(({ slug }) => slug)
  expect(slugs).toEqual(
    expect.arrayContaining(['what-a-caller-is-told', 'reasons-on-record', 'commands', 'the-store', 'the-sdk']),
  )
})
