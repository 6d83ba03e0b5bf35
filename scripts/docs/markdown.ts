/**
 * Reads a page of the documentation: its tokens, and what tests and the site want of them.
 *
 * @module
 */
import { marked, type Token, type Tokens, type TokensList } from 'marked'

export interface Heading {
  readonly depth: number
  readonly text: string
  /** What `#…` of a link names: GitHub's rule, as that is where the pages are read as they are. */
  readonly slug: string
}

export interface CodeBlock {
  /** Empty for a block that is indented, which holds commands of a shell in these pages. */
  readonly language: string
  /** What stands behind the language, such as `run`. */
  readonly marks: readonly string[]
  readonly text: string
  /** Text of the heading that it stands under; empty above the first. */
  readonly under: string
}

export interface MarkdownPage {
  readonly tokens: TokensList
  /** Text of the first heading. */
  readonly title: string
  readonly headings: readonly Heading[]
  readonly blocks: readonly CodeBlock[]
  /** Code within a line. */
  readonly spans: readonly string[]
  /** As they are written. */
  readonly links: readonly string[]
}

export function readMarkdown(text: string): MarkdownPage {
  const tokens = marked.lexer(text)
  const slugOf = createSlugger()
  const headings: Heading[] = []
  const blocks: CodeBlock[] = []
  const spans: string[] = []
  const links: string[] = []
  marked.walkTokens(tokens, (token) => {
    if (token.type === 'heading') {
      const plain = plainText(token.tokens ?? [])
      headings.push({ depth: (token as Tokens.Heading).depth, text: plain, slug: slugOf(plain) })
    } else if (token.type === 'code') blocks.push(readBlock(token as Tokens.Code, headings.at(-1)?.text ?? ''))
    else if (token.type === 'codespan') spans.push((token as Tokens.Codespan).text)
    else if (token.type === 'link' || token.type === 'image') links.push((token as Tokens.Link).href)
  })
  return { tokens, title: headings[0]?.text ?? '', headings, blocks, spans, links }
}

function readBlock({ lang = '', text }: Tokens.Code, under: string): CodeBlock {
  const [language = '', ...marks] = lang.split(' ')
  return { language, marks, text, under }
}

/** What a reader sees, without marks. */
export function plainText(tokens: readonly Token[]): string {
  return tokens
    .map((token) => ('tokens' in token && token.tokens ? plainText(token.tokens) : ((token as Tokens.Text).text ?? '')))
    .join('')
}

/** Of one page: a heading that comes again gets a number. */
export function createSlugger(): (text: string) => string {
  const seen = new Map<string, number>()
  return (text) => {
    const slug = text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
      .replace(/\s/g, '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  }
}
