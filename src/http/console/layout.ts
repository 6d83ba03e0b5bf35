/**
 * What every page of the console has: its frame, tables, times. `html` escapes all that is put into it.
 *
 * @module
 */
import { html } from 'hono/html'

export type Markup = ReturnType<typeof html>

export interface Frame {
  readonly title: string
  readonly trustDomain: string
  readonly now: Date
  /** Path of the page, as in {@link pages}. */
  readonly path: string
}

/** In the order of the navigation. */
export const pages = [
  { path: '/', title: 'Overview' },
  { path: '/identities', title: 'Identities' },
  { path: '/authorities', title: 'Authorities' },
  { path: '/federation', title: 'Federation' },
  { path: '/targets', title: 'Targets' },
  { path: '/syncs', title: 'Syncs' },
  { path: '/records', title: 'Records' },
] as const

export function page({ title, trustDomain, now, path }: Frame, content: Markup): Markup {
  const links = pages.map(
    (link) =>
      html`<li><a href="${link.path}"${link.path === path ? html` aria-current="page"` : ''}>${link.title}</a></li>`,
  )
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · ${trustDomain} · Apostille</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/console.css">
</head>
<body>
<a class="skip" href="#content">To the content</a>
<header>
<p class="name">Apostille <span>${trustDomain}</span></p>
<nav aria-label="Pages"><ul>${links}</ul></nav>
</header>
<main id="content">
<h1>${title}</h1>
${content}
</main>
<footer><p>As of ${timeOf(now)}. This console only shows; changes are made by the command <code>apostille</code>.</p></footer>
</body>
</html>`
}

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => Markup | string | number
  /** Numbers stand to the right. */
  readonly numeric?: boolean
}

/**
 * A table that scrolls by itself where the window is narrow. Its first column names the row.
 *
 * @param caption What the table holds, for everybody.
 * @param nothing Said where there is no row.
 */
export function table<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  nothing: string,
): Markup {
  if (rows.length === 0)
    return html`<section aria-label="${caption}"><h2>${caption}</h2><p class="nothing">${nothing}</p></section>`
  const classOf = ({ numeric }: Column<Row>) => (numeric ? html` class="number"` : '')
  const heads = columns.map((column) => html`<th scope="col"${classOf(column)}>${column.title}</th>`)
  const lines = rows.map((row) => {
    const [first, ...others] = columns.map((column, index) =>
      index === 0
        ? html`<th scope="row"${classOf(column)}>${column.cell(row)}</th>`
        : html`<td${classOf(column)}>${column.cell(row)}</td>`,
    )
    return html`<tr>${first}${others}</tr>\n`
  })
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0">
<table><caption>${caption}</caption><thead><tr>${heads}</tr></thead><tbody>
${lines}</tbody></table>
</div>`
}

/** Names and values, one below the other. */
export function facts(items: readonly (readonly [name: string, value: Markup | string | number])[]): Markup {
  return html`<dl>${items.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}

/** `good`, `warning` and `bad` differ by a sign as well, as not everybody sees colours. */
export function status(kind: 'good' | 'warning' | 'bad', text: string): Markup {
  const sign = { good: '✓', warning: '!', bad: '✗' }[kind]
  return html`<span class="status ${kind}"><span aria-hidden="true">${sign}</span> ${text}</span>`
}

export function code(text: string): Markup {
  return html`<code>${text}</code>`
}

/** @param items Nothing for none. */
export function codes(items: readonly string[]): Markup {
  return html`${items.map((item, index) => html`${index > 0 ? ', ' : ''}<code>${item}</code>`)}`
}

/** UTC, to the second. */
export function timeOf(date: Date): Markup {
  const text = date.toISOString()
  return html`<time datetime="${text}">${text.slice(0, 10)} ${text.slice(11, 19)} UTC</time>`
}

const units = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
] as const

/** Roughly, such as `3 d` or `12 min`. */
export function durationOf(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const [size, unit] = units.find(([size]) => whole >= size) ?? [1, 's']
  return `${Math.floor(whole / size)} ${unit}`
}

/** Such as `in 3 d` or `2 h ago`. */
export function distanceOf(date: Date, now: Date): string {
  const seconds = (date.getTime() - now.getTime()) / 1000
  return seconds < 0 ? `${durationOf(-seconds)} ago` : `in ${durationOf(seconds)}`
}
