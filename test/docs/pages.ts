/**
 * The Markdown of the project: what the tests of the documentation read.
 *
 * @module
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type MarkdownPage, readMarkdown } from '../../scripts/docs/markdown.ts'

export const root = join(import.meta.dirname, '../..')

/** Paths from the root of the repository, in order. */
export const pages: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...globSync(['docs/**/*.md', 'examples/**/*.md', 'deploy/**/*.md'], { cwd: root }).toSorted(),
]

const known = new Map<string, MarkdownPage>()

export function readPage(file: string): MarkdownPage {
  const page = known.get(file) ?? readMarkdown(readFileSync(join(root, file), 'utf8'))
  known.set(file, page)
  return page
}
