import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { ConfigurationError, parseConfiguration } from '../../src/core/config.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { startYamlLanguageServer, type YamlLanguageServer } from './support/yaml-language-server.ts'

const stack = cleanupAfterAll()
let editor: YamlLanguageServer
beforeAll(async () => {
  editor = stack.use(await startYamlLanguageServer())
})

const schema = pathToFileURL(join(import.meta.dirname, '../../schema/apostille.schema.json'))
const modeline = `# yaml-language-server: $schema=${schema}\n`

const whole = {
  trust_domain: 'example.org',
  issuer: 'https://id.example.org',
  listen: '{ address: 0.0.0.0:8443 }',
  store: 'sqlite:./data/apostille.db',
  seal: '{ file: ./data/seal.key }',
}

/** A document of one line for each key, from line 2 on, with what a test changes and what comes after it, from line 7 on. */
function documentWith(changes: Partial<Record<keyof typeof whole, string>> = {}, ...more: readonly string[]): string {
  const lines = Object.entries({ ...whole, ...changes }).map(([key, value]) => `${key}: ${value}`)
  return `${modeline}${[...lines, ...more].join('\n')}\n`
}

/** The lines at which `apostille check` finds something wrong. */
function checkedLines(text: string): readonly number[] {
  try {
    parseConfiguration(text)
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return distinct(error.diagnostics.map(({ line }) => line))
  }
}

const distinct = (lines: readonly number[]) => [...new Set(lines)].sort((a, b) => a - b)
const authenticator = (...lines: readonly string[]) =>
  documentWith({}, 'authenticators:', '  a:', ...lines.map((line) => `    ${line}`))
const rule = (...lines: readonly string[]) =>
  documentWith(
    {},
    'authenticators: { first: { type: join_token } }',
    'identities:',
    '  - spiffe_id: /a',
    ...lines.map((line) => `    ${line}`),
  )
const target = (...lines: readonly string[]) =>
  documentWith({}, 'targets:', '  t:', ...lines.map((line) => `    ${line}`))
const peer = (...lines: readonly string[]) =>
  documentWith({}, 'federation:', '  b.example:', ...lines.map((line) => `    ${line}`))

describe('an editor and `apostille check` find the same lines wrong', () => {
  test.each<[what: string, text: string, lines: readonly number[]]>([
    ['nothing', documentWith(), []],
    ['an unknown key', documentWith({}, 'nothing: 1'), [7]],
    ['a misspelt key', documentWith({}, 'identites: []'), [7]],
    ['a key that stands twice', documentWith({}, 'limits: {}', 'limits: {}'), [8]],
    ['another version', documentWith({}, 'version: 2'), [7]],
    ['a trust domain in capitals', documentWith({ trust_domain: 'Example.ORG' }), [2]],
    ['an issuer that is not https', documentWith({ issuer: 'http://id.example.org' }), [3]],
    ['an issuer with a query', documentWith({ issuer: 'https://id.example.org?a' }), [3]],
    ['an address that is none', documentWith({ listen: '{ address: nowhere }' }), [4]],
    ['a kind of TLS that there is not', documentWith({ listen: '{ address: 0.0.0.0:8443, tls: maybe }' }), [4]],
    [
      'a network that is none',
      documentWith({ listen: '{ address: 0.0.0.0:8443, trusted_proxies: { from: [all] } }' }),
      [4],
    ],
    ['a store that there is not', documentWith({ store: 'mysql:x' }), [5]],
    ['a seal key of another kind', documentWith({ seal: '{ fle: x }' }), [6]],
    ['an admin API on TCP', documentWith({}, 'admin: { listen: 127.0.0.1:1 }'), [7]],
    ['a duration in words', documentWith({}, 'authorities:', '  x509:', '    ttl: 7 days'), [9]],
    ['an algorithm that is not taken', documentWith({}, 'authorities:', '  x509:', '    algorithm: HS256'), [9]],
    ['a text in place of a number', documentWith({}, 'limits:', '  refusals: many'), [8]],
    ['a number that is too small', documentWith({}, 'limits:', '  refusals: -1'), [8]],
    ['a list in place of a map', documentWith({}, 'authenticators: []'), [7]],
    ['a name that is none', documentWith({}, 'authenticators:', '  "a b":', '    type: join_token'), [8]],
    [
      'an authenticator with an unknown key',
      authenticator('type: kubernetes', 'issuer: https://x.example', 'audience: a', 'audiense: b'),
      [12],
    ],
    ['a preset', authenticator('type: oidc', 'preset: github', 'audience: a'), []],
    ['a tenant that is none', authenticator('type: oidc', 'preset: azure', 'tenant: x', 'audience: a'), [11]],
    [
      'keys from a URL that is not https',
      authenticator('type: oidc', 'issuer: https://x.example', 'audience: a', 'jwks_uri: http://x.example/keys'),
      [12],
    ],
    ['a rule without `from`', rule(), [9]],
    ['a rule with an unknown key', rule('from: first', "whenn: 'true'"), [11]],
    ['audiences that are no list', rule('from: first', 'audiences: x'), [11]],
    ['claims that are no map', rule('from: first', 'claims: [a]'), [11]],
    ['an operation that there is not', documentWith({}, 'policies:', '  - permit: nothing'), [8]],
    ['a role that is none', target('type: aws', 'role_arn: x', 'region: eu-west-1'), [10]],
    ['a profile that there is not', peer('bundle: b.json', 'endpoint: https://b.example', 'profile: web'), [11]],
    ['a trust domain in capitals as a key', documentWith({}, 'federation:', '  B.example:', '    bundle: b.json'), [8]],
  ])('%s', async (_, text, lines) => {
    expect(checkedLines(text)).toEqual(lines)
    expect(distinct((await editor.errors(text)).map(({ line }) => line))).toEqual(lines)
  })

  test('a preset that there is not, for which the editor also says what would make it none', async () => {
    const text = authenticator('type: oidc', 'preset: bitbucket', 'audience: a')
    expect(checkedLines(text)).toEqual([10])
    expect((await editor.errors(text)).map(({ line }) => line)).toContain(10)
  })

  // `check` tells a missing key where its map begins, or at the key that it belongs to; editors tell it a line above.
  test.each<[what: string, text: string, checked: number, said: string]>([
    ['an authenticator', authenticator('issuer: https://x.example', 'audience: a'), 9, 'type'],
    ['a cluster', authenticator('type: kubernetes', 'issuer: https://x.example'), 9, 'audience'],
    ['a target', target('type: aws', 'region: eu-west-1'), 9, 'role_arn'],
    ['a bundle endpoint', peer('bundle: b.json', 'endpoint: https://b.example'), 10, 'profile'],
  ])('a key that %s lacks', async (_, text, checked, said) => {
    expect(checkedLines(text)).toEqual([checked])
    expect(await editor.errors(text)).toMatchObject([{ line: checked - 1, message: expect.stringContaining(said) }])
  })

  test('a key that is missing from the top', async () => {
    const text = documentWith().replace(/^store.*\n/m, '')
    expect(checkedLines(text)).toEqual([2])
    expect(await editor.errors(text)).toMatchObject([{ line: 2, message: expect.stringContaining('store') }])
  })

  test.each([
    ['an authenticator that there is not', documentWith({}, 'identities:', '  - spiffe_id: /a', '    from: nobody')],
    ['an expression over an unknown variable', rule('from: first', 'when: proof.nothing == 1')],
  ])('but for what no schema can say: %s', async (_, text) => {
    expect(checkedLines(text)).not.toEqual([])
    expect(await editor.errors(text)).toEqual([])
  })
})

describe('an editor completes', () => {
  test.each([
    ['the keys of the document', modeline, ['trust_domain', 'issuer', 'listen', 'identities', 'policies']],
    ['the keys of a part', `${modeline}listen:\n  `, ['address', 'tls', 'trusted_proxies']],
    ['kinds', `${modeline}authenticators:\n  a:\n    type: `, ['kubernetes', 'join_token', 'spiffe', 'aws']],
    [
      'the keys of a kind',
      `${modeline}authenticators:\n  a:\n    type: kubernetes\n    `,
      ['issuer', 'audience', 'token_review'],
    ],
  ])('%s', async (_, text, expected) => {
    expect(await editor.completions(text)).toEqual(expect.arrayContaining(expected))
  })
})
