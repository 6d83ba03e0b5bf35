/**
 * Builds the site of the documentation: `npm run docs` writes it to `site/`. It asks nobody for anything, neither now nor
 * in the browser, and reads from a folder as from a server.
 *
 *   --repository URL   where files of the repository are read that are no pages, such as https://code.example/apostille/blob/main
 *   --out DIR          another folder
 */
import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { parseArgs } from 'node:util'
import { runScript } from '../script-failure.ts'
import { formatSitePage, linkTo } from './layout.ts'
import { type MarkdownPage, readMarkdown } from './markdown.ts'
import { renderMarkdown } from './render.ts'
import { indexFile, root, sidebar } from './sidebar.ts'

export interface SiteOptions {
  readonly out: string
  /** Without, what is no page is named and not linked. */
  readonly repository?: string | undefined
}

interface Source {
  readonly file: string
  /** In the sidebar, and of the tab. */
  readonly title: string
  /** Below the top of the site. */
  readonly path: string
  readonly page: MarkdownPage
}

/** Of the site; each page of an example hangs below that of the examples. */
export async function buildSite({ out, repository }: SiteOptions): Promise<readonly string[]> {
  const sources = readSources()
  const pathOf = new Map(sources.map(({ file, path }) => [file, path]))
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  await cp(join(import.meta.dirname, 'assets'), out, { recursive: true })
  for (const [index, source] of sources.entries()) {
    const to = (path: string) => posix.relative(posix.dirname(source.path), path) || posix.basename(path)
    const content = renderMarkdown(source.page, (link) => hrefOf(source, link, pathOf, to, repository))
    const near = (other: Source | undefined) => other && linkTo(other, to(other.path))
    const html = formatSitePage({
      title: source.title,
      content,
      headings: source.page.headings,
      sections: sidebar.map(({ title, pages }) => ({
        title,
        links: pages.map((page) => linkTo(page, to(pathOf.get(page.file) ?? ''), page.file === source.file)),
      })),
      home: linkTo({ title: 'Documentation of Apostille' }, to('index.html')),
      before: near(sources[index - 1]),
      after: near(sources[index + 1]),
      toTop: '../'.repeat(source.path.split('/').length - 1),
    })
    const file = join(out, source.path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, html)
  }
  await writeFile(join(out, 'search-index.js'), formatSearchIndex(sources))
  return sources.map(({ path }) => path)
}

function readSources(): readonly Source[] {
  return [{ file: indexFile, title: 'Documentation of Apostille' }, ...sidebar.flatMap(({ pages }) => pages)].flatMap(
    ({ file, title }) => [read(file, title), ...(file === 'examples/README.md' ? readExamples() : [])],
  )
}

function readExamples(): readonly Source[] {
  const { links } = readMarkdown(readFileSync(join(root, 'examples/README.md'), 'utf8'))
  const folders = [...new Set(links.filter((link) => /^\d\d-[\w-]+$/.test(link)))]
  return folders.map((folder) => read(`examples/${folder}/README.md`))
}

function read(file: string, title?: string): Source {
  const page = readMarkdown(readFileSync(join(root, file), 'utf8'))
  const path = file
    .replace(/^docs\//, '')
    .replace(/README\.md$/, 'index.html')
    .replace(/\.md$/, '.html')
    .toLowerCase()
  return { file, title: title ?? page.title, path, page }
}

/** @returns undefined for a file of the repository that has no page, where nobody said where that is read */
function hrefOf(
  source: Source,
  link: string,
  pathOf: ReadonlyMap<string, string>,
  to: (path: string) => string,
  repository: string | undefined,
): string | undefined {
  if (/^(?:https?:|#)/.test(link)) return link
  const [path = '', fragment] = link.split('#')
  const file = posix.join(posix.dirname(source.file), path).replace(/\/$/, '')
  const target = pathOf.get(file) ?? pathOf.get(`${file}/README.md`)
  const anchor = fragment === undefined ? '' : `#${fragment}`
  if (target !== undefined) return `${to(target)}${anchor}`
  if (!existsSync(join(root, file))) throw new Error(`${source.file}: ${link} leads nowhere`)
  return repository && `${repository.replace(/\/$/, '')}/${file}${anchor}`
}

/** A script, as pages that are read from a folder may load one and fetch nothing. One entry for each heading. */
function formatSearchIndex(sources: readonly Source[]): string {
  const entries = sources.flatMap(({ path, title, page }) => {
    let entry = { path, title, under: '', text: '' }
    const all = [entry]
    let index = 0
    for (const token of page.tokens) {
      if (token.type === 'heading') {
        const heading = page.headings[index++]
        if (heading && heading.depth > 1) {
          entry = { path: `${path}#${heading.slug}`, title, under: heading.text, text: '' }
          all.push(entry)
        }
      } else entry.text += ` ${token.raw}`
    }
    return all.map(({ path, title, under, text }) => [path, title, under, plain(text)])
  })
  return `searchIndex = ${JSON.stringify(entries)}\n`
}

/** Words without marks of Markdown. */
function plain(text: string): string {
  return text
    .replace(/^ *```.*$|-{3,}|\]\([^)]*\)/gm, ' ')
    .replace(/[`*|[\]]|^[-#>]+/gm, ' ')
    .replace(/\s+/g, ' ')
    .trim()
}

if (import.meta.main)
  await runScript(async () => {
    const { values } = parseArgs({ options: { repository: { type: 'string' }, out: { type: 'string' } } })
    const out = values.out ?? join(root, 'site')
    const paths = await buildSite({ out, repository: values.repository })
    console.log(`${paths.length} pages in ${out}: open ${join(out, 'index.html')}`)
  })
