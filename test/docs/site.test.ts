/** The site of the documentation: complete, and closed in itself. */
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildSite } from '../../scripts/docs/build-site.ts'
import { highlight } from '../../scripts/docs/highlight.ts'
import { createSlugger, readMarkdown } from '../../scripts/docs/markdown.ts'
import { renderMarkdown } from '../../scripts/docs/render.ts'
import { indexFile, sidebar } from '../../scripts/docs/sidebar.ts'
import { pages } from './pages.ts'

const out = join(mkdtempSync(join(tmpdir(), 'apo-site-')), 'site')
const read = (path: string) => readFileSync(join(out, path), 'utf8')
let built: readonly string[] = []

beforeAll(async () => {
  built = await buildSite({ out })
})
afterAll(() => rmSync(join(out, '..'), { recursive: true, force: true }))

/** Said in the repository alone. */
const unlisted = ['docs/status.md', 'README.md']

test('the sidebar has every page', () => {
  const listed = [indexFile, ...sidebar.flatMap(({ pages }) => pages.map(({ file }) => file))]
  expect(new Set(listed).size).toBe(listed.length)
  const missing = pages.filter((page) => !listed.includes(page) && !page.startsWith('examples/0'))
  expect(missing.toSorted()).toEqual(unlisted.toSorted())
})

test('every link of every page leads to a page, and to a heading of it', () => {
  const faults = built.flatMap((path) =>
    [...read(path).matchAll(/(?<= href=")[^"]*/g)].flatMap(([link]) => {
      if (/^(?:https:|data:)/.test(link)) return []
      const [file = '', fragment] = link.split('#')
      const target = file === '' ? path : posix.join(posix.dirname(path), file)
      if (!globSync(target, { cwd: out }).length) return [`${path}: ${link}`]
      return fragment === undefined || read(target).includes(` id="${fragment}"`) ? [] : [`${path}: ${link}`]
    }),
  )
  expect(built.length).toBeGreaterThan(35)
  expect(faults).toEqual([])
})

test('a page has one title, its policy, and nothing that the policy forbids', () => {
  for (const path of built) {
    const html = read(path)
    expect(html.includes('"Content-Security-Policy" content="default-src &#39;none&#39;;'), path).toBe(true)
    expect(html.match(/<h1 /g)).toHaveLength(1)
    expect(html).not.toMatch(/<script>|<style|\sstyle=|\son\w+="|(?:src|href)="http:/)
    expect(html).not.toMatch(/<(?:img|script|link)[^>]* (?:src|href)="https:/)
  }
})

test('the search finds headings, by paths that are there', () => {
  const entries = JSON.parse(read('search-index.js').replace(/^searchIndex = /, '')) as readonly string[][]
  const paths = entries.map(([path = '']) => path.split('#')[0] ?? '')
  expect(new Set(paths)).toEqual(new Set(built))
  expect(entries.find(([path]) => path === 'kv.html#read-it')?.[2]).toBe('Read it')
})

test('files of the repository that are no pages are linked where it is said where they are', async () => {
  const elsewhere = join(out, '../other')
  await buildSite({ out: elsewhere, repository: 'https://code.example/apostille/blob/main/' })
  const html = readFileSync(join(elsewhere, 'deploy/index.html'), 'utf8')
  expect(html).toContain('href="https://code.example/apostille/blob/main/deploy/Containerfile"')
  expect(read('deploy/index.html')).toContain('title="In the repository: Containerfile"')
})

describe('Markdown', () => {
  const render = (text: string) => renderMarkdown(readMarkdown(text), (link) => (link === 'gone' ? undefined : link))

  test.each([
    [
      'a heading',
      '## The `a` key',
      '<h2 id="the-a-key"><a class="anchor" href="#the-a-key">The <code>a</code> key</a></h2>\n',
    ],
    ['a link', '[a](b.html)', '<p><a href="b.html">a</a></p>\n'],
    ['a link to what has no page', '[a](gone)', '<p><span class="file" title="In the repository: gone">a</span></p>\n'],
    ['long code', '`a.b_c/d`', '<p><code>a.<wbr>b_<wbr>c/<wbr>d</code></p>\n'],
    [
      'code',
      '```yaml\na: <b> # c\n```',
      '<pre tabindex="0"><code><span class="key">a</span>: &lt;b&gt; <span class="comment"># c</span></code></pre>\n',
    ],
  ])('%s', (_, text, html) => {
    expect(render(text)).toBe(html)
  })

  test.each([
    ['`POST /v1/svid/x509`', 'post-v1svidx509'],
    ['Whose is it? (a `b`)', 'whose-is-it-a-b'],
    ['join-token create', 'join-token-create'],
  ])('the slug of %s is that of GitHub', (text, slug) => {
    const [heading] = readMarkdown(`# ${text}`).headings
    expect(heading?.slug).toBe(slug)
  })

  test('a slug that comes again gets a number', () => {
    const slugOf = createSlugger()
    expect([slugOf('A b'), slugOf('a B'), slugOf('a b')]).toEqual(['a-b', 'a-b-1', 'a-b-2'])
  })

  test('of a session the commands stand out', () => {
    expect(highlight('$ a \\\n  --b\n<c>', 'console')).toBe(
      '<span class="command">$ a \\</span>\n<span class="command">  --b</span>\n&lt;c&gt;',
    )
  })
})
