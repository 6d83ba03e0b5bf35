/** Links lead somewhere: within a page, to a heading of another, to a file. */
import { existsSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { expect, test } from 'vitest'
import { pages, readPage, root } from './pages.ts'

/** @returns what is wrong with it */
function faultOf(page: string, link: string): string | undefined {
  if (/^https:\/\/[\w.-]+(?::\d+)?(?:[/?#]\S*)?$/.test(link)) return undefined
  if (/^[a-z]+:/.test(link)) return 'is neither https nor within the project'
  const [path = '', fragment] = link.split('#')
  const file = path === '' ? page : posix.join(posix.dirname(page), path)
  if (!existsSync(join(root, file))) return `${file} is not there`
  if (fragment === undefined) return undefined
  const target = statSync(join(root, file)).isDirectory() ? posix.join(file, 'README.md') : file
  return readPage(target).headings.some(({ slug }) => slug === fragment) ? undefined : `${target} has no such heading`
}

test.each(pages)('%s: links lead somewhere', (page) => {
  const faults = readPage(page).links.flatMap((link) => {
    const fault = faultOf(page, link)
    return fault === undefined ? [] : [`${link}: ${fault}`]
  })
  expect(faults).toEqual([])
})

test('links are found, and those that lead nowhere', () => {
  expect(readPage('README.md').links.length).toBeGreaterThan(20)
  expect(faultOf('README.md', 'docs/configuration.md#targets')).toBeUndefined()
  expect(faultOf('README.md', 'docs/configuration.md#nowhere')).toContain('no such heading')
  expect(faultOf('docs/kv.md', 'nowhere.md')).toBe('docs/nowhere.md is not there')
  expect(faultOf('README.md', '#nowhere')).toContain('no such heading')
  expect(faultOf('README.md', 'http://example.org')).toContain('neither https')
})
