/**
 * A page of Markdown → HTML.
 *
 * @module
 */
import { Marked, type RendererObject } from 'marked'
import { escapeHtml, highlight } from './highlight.ts'
import { createSlugger, type MarkdownPage, plainText } from './markdown.ts'

/** @param hrefOf Where a link of the page leads in the site; undefined for what the site does not have. */
export function renderMarkdown({ tokens }: MarkdownPage, hrefOf: (link: string) => string | undefined): string {
  const slugOf = createSlugger()
  const renderer: RendererObject = {
    heading({ tokens, depth }) {
      const slug = slugOf(plainText(tokens))
      const text = this.parser.parseInline(tokens)
      if (depth === 1) return `<h1 id="${slug}">${text}</h1>\n`
      return `<h${depth} id="${slug}"><a class="anchor" href="#${slug}">${text}</a></h${depth}>\n`
    },
    code({ text, lang = '' }) {
      const [language = ''] = lang.split(' ')
      return `<pre tabindex="0"><code>${highlight(text, language)}</code></pre>\n`
    },
    table(token) {
      const cells = (row: typeof token.header, element: 'th' | 'td') =>
        `<tr>${row.map((cell) => formatCell(cell.text === '' ? 'td' : element, this.parser.parseInline(cell.tokens))).join('')}</tr>`
      const head = token.header.some(({ text }) => text !== '') ? `<thead>${cells(token.header, 'th')}</thead>` : ''
      const rows = token.rows.map((row) => cells(row, 'td')).join('\n')
      return `<div class="scroll" tabindex="0"><table>${head}<tbody>\n${rows}\n</tbody></table></div>\n`
    },
    codespan({ text }) {
      return `<code>${breakable(escapeHtml(text))}</code>`
    },
    link({ href, tokens }) {
      const text = this.parser.parseInline(tokens)
      const target = hrefOf(href)
      return target === undefined
        ? `<span class="file" title="In the repository: ${escapeHtml(href)}">${text}</span>`
        : `<a href="${escapeHtml(target)}">${text}</a>`
    },
  }
  return new Marked({ renderer }).parser(tokens)
}

function formatCell(element: 'th' | 'td', html: string): string {
  return `<${element}>${html}</${element}>`
}

/** Long names may go on in the next line where a part of them ends. */
function breakable(html: string): string {
  return html.replace(/(?<=\w[._/-])(?=\w)/g, '<wbr>')
}
