/**
 * The frame of each page of the site.
 *
 * @module
 */
import { html, raw } from 'hono/html'
import type { Heading } from './markdown.ts'
import type { SidebarPage } from './sidebar.ts'

export interface LinkedSection {
  readonly title: string
  readonly links: readonly SiteLink[]
}

export interface SiteLink {
  readonly href: string
  readonly title: string
  readonly current: boolean
}

export interface SitePage {
  readonly title: string
  /** HTML. */
  readonly content: string
  readonly headings: readonly Heading[]
  readonly sections: readonly LinkedSection[]
  readonly home: SiteLink
  readonly before: SiteLink | undefined
  readonly after: SiteLink | undefined
  /** `''`, or `../` for each folder that the page is in. */
  readonly toTop: string
}

/** Nothing but what the site itself has; styles and scripts are files, so that none in a page is ever run. */
const policy =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"

export function formatSitePage(page: SitePage): string {
  const { title, content, sections, home, before, after, toTop } = page
  return `${html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title === home.title ? title : `${title} · Apostille`}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${toTop}style.css">
<script src="${toTop}search.js" data-top="${toTop}" defer></script>
</head>
<body>
<a class="skip" href="#content">To the content</a>
<header>
<button type="button" class="menu" popovertarget="pages" aria-label="Pages">☰</button>
<a class="name" href="${home.href}">Apostille</a>
<search hidden><input type="search" aria-label="Search" aria-controls="found" placeholder="Search  /" autocomplete="off" spellcheck="false"><ol id="found" class="found" aria-live="polite"></ol></search>
</header>
<div class="columns">
<nav id="pages" class="side pages" popover aria-label="Pages">
${sections.map((section) => html`<h2>${section.title}</h2>\n<ul>${section.links.map(item)}</ul>\n`)}</nav>
<main id="content">
${raw(content)}
<nav class="turn" aria-label="Before and after">${before ? html`<a rel="prev" href="${before.href}">← ${before.title}</a>` : ''}${after ? html`<a rel="next" href="${after.href}">${after.title} →</a>` : ''}</nav>
</main>
${contents(page.headings)}
</div>
</body>
</html>
`}`
}

function item({ href, title, current }: SiteLink) {
  return html`<li><a href="${href}"${current ? html` aria-current="page"` : ''}>${title}</a></li>`
}

/** Absent where there is nothing to choose from. */
function contents(headings: readonly Heading[]) {
  const entries = headings.filter(({ depth }) => depth === 2 || depth === 3)
  const shown = entries.length > 40 ? entries.filter(({ depth }) => depth === 2) : entries
  if (shown.length < 3) return ''
  return html`<nav class="side contents" aria-label="On this page"><h2>On this page</h2><ul>${shown.map(
    ({ depth, slug, text }) => html`<li class="depth${depth}"><a href="#${slug}">${text}</a></li>`,
  )}</ul></nav>`
}

export function linkTo({ title }: Pick<SidebarPage, 'title'>, href: string, current = false): SiteLink {
  return { href, title, current }
}
