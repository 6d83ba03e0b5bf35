/**
 * Pages in a real browser: what they show to eyes, to a screen reader and to a keyboard.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { type Browser, chromium, type Page } from 'playwright-core'
import { part } from './parts.ts'

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

export interface SeenPage {
  readonly page: Page
  /** What went wrong, as the page's console has it so far. */
  readonly errors: readonly string[]
}

export interface View {
  readonly url: string
  /** In pixels. */
  readonly width: number
  readonly colors: 'light' | 'dark'
}

export async function launchBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: await part('chromium.sh'),
    args: ['--no-sandbox', '--disable-gpu'],
  })
}

/** Its context ends with the browser. */
export async function openPage(browser: Browser, { url, width, colors }: View): Promise<SeenPage> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: colors, bypassCSP: false })
  const page = await context.newPage()
  const errors: string[] = []
  page.on('console', (message) => void (message.type() === 'error' && errors.push(message.text())))
  page.on('pageerror', (error) => void errors.push(error.message))
  await page.goto(url)
  return { page, errors }
}

/** The rules of WCAG 2.2 AA and good practice. The checker runs beside the page's own policy, which lets no script in. */
export async function violationsOf(page: Page): Promise<readonly string[]> {
  const client = await page.context().newCDPSession(page)
  await client.send('Page.setBypassCSP', { enabled: true })
  await page.reload()
  await page.addScriptTag({ path: axe })
  const { violations } = await page.evaluate<AxeResults>('axe.run()')
  return violations.map(({ id, help, nodes }) => `${id}: ${help} (${nodes.map(({ html }) => html).join(' ')})`)
}

interface AxeResults {
  readonly violations: readonly {
    readonly id: string
    readonly help: string
    readonly nodes: readonly { readonly html: string }[]
  }[]
}

/** By how many pixels the page is wider than its window. */
export async function overflowOf(page: Page): Promise<number> {
  return await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
}
