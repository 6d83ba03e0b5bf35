import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfigurationError, parseConfiguration } from '../../src/core/config.ts'
import { AdminSocketError, readAdminSocketPath } from '../../src/runtime/admin-client.node.ts'

let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'admin-socket-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function read(text: string): Promise<string> {
  const file = join(folder, 'apostille.yaml')
  await writeFile(file, text)
  return (await readAdminSocketPath(file)).replace(folder, '.')
}

test.each([
  ['a document without it', 'trust_domain: example.org', './data/admin.sock'],
  ['no content', '', './data/admin.sock'],
  ['a key without a value', 'admin:\nseal: x', './data/admin.sock'],
  ['the key in braces', 'a: 1\nadmin: { listen: unix:./x.sock }\nb: 1', './x.sock'],
  ['the key below', 'admin:\n# where\n\n  console: 127.0.0.1:1\n  listen: unix:./y.sock\nb: 1', './y.sock'],
  ['a document in braces', '{ admin: { listen: unix:./z.sock } }', './z.sock'],
  ['lines of other systems', 'admin:\r\n  listen: unix:./w.sock\r\nb: 1\r\n', './w.sock'],
  ['a comment with a line separator', '# a\u2028admin: { listen: unix:./no.sock }\nb: 1', './data/admin.sock'],
  ['a text with a line separator', 'a: "b\u2028admin: 1"\nadmin: { listen: unix:./v.sock }', './v.sock'],
  ['returns alone', 'a: 1\radmin:\r  listen: unix:./u.sock\rb: 1', './u.sock'],
  ['a mark of the byte order', '\uFEFFadmin: { listen: unix:./t.sock }\nb: {', './t.sock'],
  ['an alias of what stands elsewhere', 'a: &a unix:./s.sock\nadmin: { listen: *a }', './s.sock'],
  ['a key in quotes', 'a: 1\n"admin": { listen: unix:./r.sock }\nb: {', './r.sock'],
  ['a key with a space', 'a: 1\nadmin : { listen: unix:./q.sock }\nb: {', './q.sock'],
  ['a key with a mark', 'a: 1\n? admin\n: listen: unix:./p.sock', './p.sock'],
  ['a document in braces over lines', '{ a: 1,\nadmin: { listen: unix:./o.sock }\n}', './o.sock'],
  [
    'a key of another map',
    '{ a: {\nadmin:\n { listen: unix:./no.sock }\n}\n, admin: { listen: unix:./n.sock } }',
    './n.sock',
  ],
  [
    'a text of another key',
    '{ a: "\nadmin: { listen: unix:./no.sock }\n", admin: { listen: unix:./m.sock } }',
    './m.sock',
  ],
  ['a path with a line break', 'admin:\n  listen: |\n    unix:./l.sock\nb: 1', './l.sock\n'],
  ['an absolute path', 'admin: { listen: unix:/run/a.sock }', '/run/a.sock'],
])('of %s', async (_, text, path) => {
  expect(await read(text)).toBe(path)
})

test.each([
  ['keys that stand twice', 'a: 1\na: 2\nadmin: { listen: unix:./x.sock }'],
  ['an open quote before it', 'a: "\nadmin: { listen: unix:./x.sock }'],
  ['an open brace after it', 'admin: { listen: unix:./x.sock }\nb: { c'],
  ['a tab', 'admin:\n  listen: unix:./x.sock\nb:\n\tc: 1'],
])('a gateway that runs is reached whatever is wrong elsewhere: %s', async (_, text) => {
  expect(await read(text)).toBe('./x.sock')
})

test.each([
  ['admin: { listen: 127.0.0.1:9000 }', /apostille\.yaml: admin\.listen names no unix socket: expected unix:PATH$/],
  ['{ admin: { listen: unix:./x.sock }, b: ', /admin can not be read: the text ends here, and a closing } or \] is/],
  ['admin: { listen: unix:x', /apostille\.yaml: admin can not be read: the text ends here, and a closing } or \] is/],
])('%s', async (text, message) => {
  const refused = read(text)
  await expect(refused).rejects.toThrow(message)
  await expect(refused).rejects.toBeInstanceOf(AdminSocketError)
})

describe('of every document that serve takes it is the path that serve listens on', () => {
  const required = [
    ['trust_domain', 'example.org'],
    ['issuer', 'https://id.example.org'],
    ['listen', '{ address: &address unix:./alias.sock }'],
    ['store', 'sqlite:./a.db'],
    ['seal', '{ file: ./k }'],
    ['authenticators', '{ a: { type: join_token } }'],
  ] as const
  const decoy = '{ listen: unix:./decoy.sock }'
  const block = {
    admin: [
      'admin: { listen: unix:./x.sock }',
      'admin: { listen: unix:./x.sock,\n  console: 127.0.0.1:1 } # { listen: unix:./c.sock }',
      'admin:\n  listen: unix:./x.sock',
      'admin: # here\n\n# there\n   console: 127.0.0.1:1\n\n   listen: "unix:./x.sock"',
      'admin:\n  { listen: unix:./x.sock }',
      'admin: &admin { listen: unix:./x.sock }',
      'admin: { listen: *address }',
      "'admin': { listen: 'unix:./x\n  y.sock' }",
      '"admin": { listen: "unix:./\\u0078.sock" }',
      'admin : { listen: unix:./x.sock }',
      '? admin\n: listen: unix:./x.sock',
      '? "admin"\n# a comment\n: { listen: unix:./x.sock }',
      '!!str admin: { listen: unix:./x.sock }',
      '&key admin: !!map { listen: !!str unix:./x.sock }',
      'admin:\n  listen: >-\n    unix:./x.sock\n\n# more',
      'admin:\n\tlisten: unix:./x.sock',
      'admin: {}',
      'admin: { listen: 127.0.0.1:1 }',
      'admin:',
      '',
    ],
    rest: [
      '',
      `# a\u2028admin: ${decoy}`,
      `#\u0085admin: ${decoy}`,
      '\n\n',
      '---',
      '...',
      '%YAML 1.2\n---',
      'identities:\n- { from: a, spiffe_id: /a, claims: { x: 1 } }',
      `identities:\n- from: a\n  spiffe_id: /a\n  claims:\n    admin: ${decoy}`,
      `identities:\n  - from: a\n    spiffe_id: /a\n    claims:\n      x: |\n       a\n       admin: ${decoy}`,
      `identities: [{ from: a, spiffe_id: /a, claims: {\nadmin:\n ${decoy}\n} }]`,
      `identities: [{ from: a, spiffe_id: /a, claims: { x: "\n admin: ${decoy}" } }]`,
      `identities: [{ from: a, spiffe_id: /a, claims: { x: '\nadmin: ${decoy}\n' } }]`,
      `identities:\n- { from: a, spiffe_id: /a, claims: { x: "\u2028admin: ${decoy}" } }`,
      `identities: [{ from: a, spiffe_id: /a, claims: { x: b\u2029admin, y: &address unix:./other.sock } }]`,
      `? outage\n: {}\n`,
    ],
  }
  const flow = {
    admin: [
      'admin: { listen: unix:./x.sock }',
      'admin:\n{ listen: unix:./x.sock }',
      '"admin":{"listen":"unix:./x.sock"}',
      'admin: { listen: *address }',
      '? admin : { listen: unix:./x.sock }',
      'outage: {}',
    ],
    rest: [
      'limits: {}',
      `identities: [{ from: a, spiffe_id: /a, claims: {\nadmin: ${decoy}\n} }]`,
      `identities: [{ from: a, spiffe_id: /a, claims: {\nadmin:\n ${decoy}\n} }]`,
      `identities: [{ from: a, spiffe_id: /a, claims: { x: "\nadmin: ${decoy}\n" } }]`,
      `identities: [{ from: a, spiffe_id: /a, claims: { x: b\nadmin } }]`,
    ],
  }
  const entries = required.map(([key, value]) => `${key}: ${value}`)
  const anyOf = (texts: readonly string[]) => fc.constantFrom(...texts)
  const shuffled = (texts: readonly string[]) => fc.shuffledSubarray([...texts], { minLength: texts.length })
  const inBlocks = fc
    .tuple(anyOf(block.admin), fc.array(anyOf(block.rest), { maxLength: 3 }))
    .chain(([admin, rest]) => shuffled([...entries, admin, ...rest]))
    .map((parts) => parts.join('\n'))
  const inBraces = fc
    .tuple(anyOf(flow.admin), anyOf(flow.rest), anyOf(['\n', ' ', '\n  ']))
    .chain(([admin, rest, space]) =>
      shuffled([...entries, admin, rest]).map((parts) => `{${space}${parts.join(`,${space}`)}${space}}`),
    )
  const document = fc
    .tuple(
      fc.oneof(inBlocks, inBraces),
      anyOf(['', '  ']),
      anyOf(['', '\uFEFF', '---\n', '--- # a\n', '---\n---\n', `# admin: ${decoy}\n\n`, '--- ', '&a\n', '...\n']),
      anyOf(['\n', '\r\n', '\r']),
    )
    .map(([text, indent, before, end]) => `${before}${text.replaceAll(/^(?=.)/gm, indent)}`.replaceAll('\n', end))

  /** `undefined` for a document that is refused. */
  function servedAt(text: string): string | undefined {
    try {
      const { listen } = parseConfiguration(text.replace(/^\uFEFF/, '')).admin
      return listen.kind === 'unix' ? listen.path : undefined
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error
      return undefined
    }
  }

  test('by property', async () => {
    const seen = { taken: 0, refused: 0 }
    await fc.assert(
      fc.asyncProperty(document, async (text) => {
        const path = servedAt(text)
        seen[path === undefined ? 'refused' : 'taken']++
        if (path !== undefined) expect(await read(text)).toBe(path)
      }),
      { numRuns: 1500 },
    )
    expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(100)
  })
})
