/** Every configuration in the documentation is one: whole as it stands, or as a part of the least that works. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadAll } from 'js-yaml'
import { describe, expect, test } from 'vitest'
import { ConfigurationError, parseConfiguration } from '../../src/core/config.ts'
import { pages, readPage, root } from './pages.ts'

type Document = Readonly<Record<string, unknown>>

const schema = JSON.parse(readFileSync(join(root, 'schema/apostille.schema.json'), 'utf8')) as {
  readonly properties: Document
}
/** One of them makes a block a configuration of ours, so that a misspelt one beside it is found. */
const keys = Object.keys(schema.properties)

interface Sample {
  readonly page: string
  readonly index: number
  readonly text: string
  readonly content: Document
}

const samples: readonly Sample[] = pages.flatMap((page) =>
  readPage(page)
    .blocks.filter(({ language }) => language === 'yaml')
    .flatMap(({ text }) => {
      const documents = loadAll(text) as Document[]
      const [content] = documents
      return documents.length === 1 && isConfiguration(content) ? [{ text, content }] : []
    })
    .map((sample, index) => ({ page, index: index + 1, ...sample })),
)

function isConfiguration(content: unknown): content is Document {
  return typeof content === 'object' && content !== null && keys.some((key) => Object.hasOwn(content, key))
}

const isWhole = ({ content }: Sample) => 'trust_domain' in content

const least: Document = {
  trust_domain: 'example.org',
  issuer: 'https://id.example.org',
  listen: { address: '127.0.0.1:8443' },
  store: 'sqlite:./a.db',
  seal: { file: './seal.key' },
  authenticators: { first: { type: 'join_token' } },
  identities: [{ from: 'first', spiffe_id: '/vm/${proof.name}' }],
}

/** What a part may name that another part of its page has. */
const named = ['authenticators', 'federation', 'targets', 'sources', 'destinations']

function completed({ page, content }: Sample): Document {
  const others = samples.filter((sample) => sample.page === page && !isWhole(sample)).map((sample) => sample.content)
  const borrowed = named.flatMap((key) => {
    const members = Object.assign({}, ...[least, ...others, content].map((document) => document[key])) as Document
    return Object.keys(members).length === 0 ? [] : [[key, members] as const]
  })
  return { ...least, ...content, ...Object.fromEntries(borrowed) }
}

/** As `check` says them, warnings included. */
function faultsOf(text: string): readonly string[] {
  try {
    return parseConfiguration(text).warnings.map(({ path, message }) => `${path}: ${message}`)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.diagnostics.map(({ path, message }) => `${path}: ${message}`)
  }
}

const titled = (chosen: readonly Sample[]) => chosen.map((sample) => [sample.page, sample.index, sample] as const)

describe('a whole configuration', () => {
  test.each(titled(samples.filter(isWhole)))('of %s, block %i, is one as it stands', (_page, _index, { text }) => {
    expect(faultsOf(text)).toEqual([])
  })
})

describe('a part of a configuration', () => {
  test.each(titled(samples.filter((sample) => !isWhole(sample))))('of %s, block %i, holds', (_page, _index, sample) => {
    expect(faultsOf(JSON.stringify(completed(sample)))).toEqual([])
  })
})

test('there are configurations on the pages that have them', () => {
  const found = new Set(samples.map(({ page }) => page))
  const wanted = ['README.md', 'configuration', 'cloud-credentials', 'secret-sync', 'kubernetes', 'ci', 'compromise']
  for (const page of wanted) expect(found).toContain(page.endsWith('.md') ? page : `docs/${page}.md`)
})

test('a mistake is found', () => {
  const [sample] = samples.filter(({ content }) => 'identities' in content && !isWhole({ content } as Sample))
  expect(faultsOf(JSON.stringify({ ...completed(sample!), polices: [] }))).toEqual([expect.stringContaining('polices')])
})
