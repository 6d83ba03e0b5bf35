/** The site of the documentation in a real browser, read from its folder. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildSite } from '../../scripts/docs/build-site.ts'
import { launchBrowser, openPage, overflowOf, violationsOf } from './support/browser.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { buildDeadlineMs } from './support/parts.ts'

const stack = cleanupAfterAll()
const out = mkdtempSync(join(tmpdir(), 'apo-site-'))
let browser: Browser
let built: readonly string[]

beforeAll(async () => {
  stack.defer(() => rmSync(out, { recursive: true, force: true }))
  built = await buildSite({ out })
  browser = await launchBrowser()
  stack.defer(() => browser.close())
}, buildDeadlineMs)

const open = (path: string, width: number, colors: 'light' | 'dark') =>
  openPage(browser, { url: pathToFileURL(join(out, path)).href, width, colors })

// Of each kind one: lists, sessions, tables, types, and a page in a folder.
const kinds = ['index.html', 'get-started.html', 'errors.html', 'metrics.html', 'sdk.html', 'deploy/index.html']

describe.each(['light', 'dark'] as const)('in %s', (colors) => {
  test.each(kinds)('%s has no barrier that axe-core knows, and no error on its console', async (path) => {
    const { page, errors } = await open(path, 1280, colors)

    // The checker itself may not read a style sheet from a folder, and says so there.
    expect(errors).toEqual([])
    expect(await violationsOf(page)).toEqual([])
  })
})

test('every page fits a window of 360 pixels', async () => {
  const { page } = await open('index.html', 360, 'light')
  const wide: string[] = []
  for (const path of built) {
    await page.goto(pathToFileURL(join(out, path)).href)
    if ((await overflowOf(page)) > 0) wide.push(path)
  }
  expect(wide).toEqual([])
})

test('in a narrow window a button shows the pages', async () => {
  const { page } = await open('kubernetes.html', 360, 'dark')
  const link = page.locator('#pages').getByText('CI systems')

  expect(await link.isVisible()).toBe(false)
  await page.getByRole('button', { name: 'Pages' }).click()
  await link.click()

  await page.waitForURL(/\/ci\.html$/)
})

test('the search is reached, used and left by the keyboard', async () => {
  const { page, errors } = await open('deploy/index.html', 1280, 'light')

  await page.keyboard.press('/')
  await page.keyboard.type('join-token revoke')
  await page.locator('#found a').first().waitFor()
  await page.keyboard.press('Enter')

  await page.waitForURL(/\/command-line\.html#join-token-revoke$/)
  expect(errors).toEqual([])
})

test('a search that finds nothing says so', async () => {
  const { page } = await open('index.html', 1280, 'light')

  await page.getByRole('searchbox').fill('zxqv')
  await page.locator('#found p').waitFor()

  expect(await page.locator('#found').innerText()).toBe('Nothing has zxqv.')
  await page.keyboard.press('Escape')
  expect(await page.locator('#found').innerText()).toBe('')
})
