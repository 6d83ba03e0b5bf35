/** The console in a real browser: what it shows to eyes, to a screen reader and to a keyboard. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { pages } from '../../src/http/console/layout.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { launchBrowser, openPage, overflowOf, violationsOf } from './support/browser.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { buildDeadlineMs } from './support/parts.ts'

/** Where screenshots are kept for whoever wants to look; nowhere by default. */
const screenshots = process.env['APOSTILLE_SCREENSHOTS']

const stack = cleanupAfterAll()
let gateway: TestGateway
let browser: Browser
let origin: string

beforeAll(async () => {
  browser = await launchBrowser()
  stack.defer(() => browser.close())
  gateway = await startGateway({
    document: {
      admin: { listen: 'unix:./admin.sock', console: '127.0.0.1:0' },
      authorities: { x509: { ttl: '7d' }, jwt: { ttl: '7d' } },
      federation: { 'spire.example': { endpoint: 'https://127.0.0.1:9', profile: 'https_web' } },
    },
  })
  stack.defer(() => gateway[Symbol.asyncDispose]())
  const { console: address } = gateway.server.addresses
  if (address?.kind !== 'tcp') throw new Error('there is no console')
  origin = `http://127.0.0.1:${address.port}`
  await issueSome()
  if (screenshots !== undefined) await mkdir(screenshots, { recursive: true })
}, buildDeadlineMs)

async function issueSome(): Promise<void> {
  const { token } = await gateway.joinToken({ uses: 20 })
  const ask = (audience: string) =>
    gateway.send('/v1/svid/jwt', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ audience: [audience] }),
    })
  for (let index = 0; index < 15; index++) await ask(index % 3 === 0 ? 'https://elsewhere' : 'https://api.example.org')
  await gateway.admin('/v1/authorities', 'POST', { action: 'activate', ring: 'jwt/ES256', force: true })
}

const open = (path: string, width: number, colors: 'light' | 'dark') =>
  openPage(browser, { url: origin + path, width, colors })

describe.each(['light', 'dark'] as const)('in %s', (colors) => {
  test.each(pages)('$path has no barrier that axe-core knows, and no error on its console', async ({ path, title }) => {
    const { page, errors } = await open(path, 1280, colors)

    expect(await violationsOf(page)).toEqual([])
    expect(errors).toEqual([])
    expect(await page.title()).toContain(title)
    if (screenshots !== undefined)
      await page.screenshot({ path: join(screenshots, `${title}-${colors}.png`), fullPage: true })
  })
})

test.each(pages)('$path fits a window of 360 pixels', async ({ path, title }) => {
  const { page } = await open(path, 360, 'light')

  expect(await overflowOf(page)).toBeLessThanOrEqual(0)
  expect(await violationsOf(page)).toEqual([])
  if (screenshots !== undefined) await page.screenshot({ path: join(screenshots, `${title}-360.png`), fullPage: true })
})

test('what needs attention is read in a window of 360 pixels without scrolling sideways', async () => {
  const { page } = await open('/', 360, 'light')

  const hidden = page.locator('.scroll').evaluate((table) => table.scrollWidth - table.clientWidth)
  expect(await page.locator('tbody tr').count()).toBeGreaterThan(0)
  expect(await hidden).toBeLessThanOrEqual(0)
})

test('the reason of a record has room', async () => {
  const { page } = await open('/records', 1280, 'light')

  expect((await page.locator('.wide').first().boundingBox())?.width).toBeGreaterThanOrEqual(250)
})

test('the keyboard reaches the content first, and then every page', async () => {
  const { page } = await open('/', 1280, 'light')
  const names: string[] = []
  for (let index = 0; index <= pages.length; index++) {
    await page.keyboard.press('Tab')
    names.push(await page.evaluate<string>('document.activeElement.textContent'))
  }

  expect(names).toEqual(['To the content', ...pages.map(({ title }) => title)])
  await page.keyboard.press('Enter')
  await page.waitForURL(`${origin}/records`)
})

test('the form finds what was refused, without a script', async () => {
  const { page } = await open('/records', 1280, 'light')

  await page.getByLabel('Decision').selectOption('refused')
  await page.getByRole('button', { name: 'Show' }).click()

  const rows = page.locator('tbody tr')
  expect(await rows.count()).toBeGreaterThan(0)
  expect(await page.locator('tbody').innerText()).not.toContain('granted')
})
