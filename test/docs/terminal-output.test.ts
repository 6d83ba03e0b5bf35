/** What the pages show of a terminal is what it shows. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { playPage, scenes } from '../../scripts/docs/terminal-output.ts'
import { pages, readPage, root } from './pages.ts'

const output = 'the output is another now: `npm run docs:output` writes it'

describe.each(Object.entries(scenes))('%s', (page, scene) => {
  // Each of its commands is a process of its own.
  test('shows what its commands print', { timeout: 120_000 }, async () => {
    expect(await playPage(page, scene), output).toBe(readFileSync(join(root, page), 'utf8'))
  })
})

test('every page that shows a session is played', () => {
  const shown = pages.filter((page) => readPage(page).blocks.some(({ language }) => language === 'console'))
  expect(shown).toEqual(Object.keys(scenes).toSorted())
})

test.each(pages)('%s shows sessions in blocks of the language `console` alone', (page) => {
  const others = readPage(page).blocks.filter(({ language }) => language !== 'console')
  expect(others.filter(({ text }) => /^(?:\$ |error: |warning: )/m.test(text))).toEqual([])
})
