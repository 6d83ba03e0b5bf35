import { describe, expect, test } from 'vitest'
import { ConfigurationError, parseConfiguration } from '../../src/core/config.ts'

const base = `trust_domain: example.org
issuer: https://id.example.org
listen: { address: 127.0.0.1:8443 }
store: sqlite:./data/a.db
seal: { file: ./data/seal.key }
targets:
  aws: { type: aws, role_arn: 'arn:aws:iam::123456789012:role/x', region: eu-west-1 }
  azure: { type: azure, tenant: contoso.example, client_id: 66666666-7777-8888-9999-000000000000 }
  vault: { type: azure, tenant: contoso.example, client_id: 66666666-7777-8888-9999-000000000000, scopes: ['https://vault.azure.net/.default'] }
  gcp: { type: gcp, provider: projects/123/locations/global/workloadIdentityPools/pool/providers/provider }
sources:
  mounted: { type: directory, path: ./secrets }
destinations:
  aws: { type: aws-secrets-manager, target: aws }
  azure: { type: azure-key-vault, target: vault, vault_url: 'https://payments.vault.azure.net' }
  gcp: { type: gcp-secret-manager, target: gcp, project: payments-prod }
`

/** `path: message` of each, in order. */
function problemsOf(text: string): readonly string[] {
  try {
    parseConfiguration(text)
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.diagnostics.map(({ path, message }) => `${path}: ${message}`)
  }
}

const withSync = (sync: string) => `${base}syncs:\n  s: ${sync}`
const hole = (expression: string) => `$${'{'}${expression}}`
const sync = (more: string, destination = 'aws') =>
  withSync(`{ paths: ['**'], destinations: [${destination}], ${more} }`)

test('a sync has a SPIFFE ID of its own, and what it leaves out has defaults', () => {
  const compiled = parseConfiguration(withSync("{ paths: ['pay/**', 'pay/x*'], destinations: [aws] }")).syncs.get('s')
  expect(compiled).toMatchObject({
    spiffeId: { uri: 'spiffe://example.org/apostille/sync/s' },
    prefix: 'pay/',
    document: {
      source: 'kv',
      granularity: 'path',
      deletion: 'delete',
      conflict: 'refuse',
      drift: 'repair',
      interval: 300,
      max_deletions: 0.2,
      paused: false,
    },
  })
  expect(compiled?.matches('pay/db/main')).toBe(true)
  expect(compiled?.matches('other')).toBe(false)
})

describe('what is wrong with a sync is said where it stands', () => {
  test.each([
    ['an unknown source', sync('source: mountd'), 'syncs.s.source: there is no source mountd: did you mean mounted?'],
    ['no source of that kind', sync('source: elsewhere'), /source: there is no source elsewhere, only kv, mounted/],
    ['an unknown destination', sync('', 'asw'), /destinations\[0\]: there is no destination asw: did you mean aws\?/],
    ['a destination twice', sync('', 'aws, aws'), 'syncs.s.destinations[1]: aws is listed twice'],
    ['a pattern that never matches', withSync("{ paths: ['/a'], destinations: [aws] }"), /paths\[0\]: never matches/],
    ['a pattern with three stars', withSync("{ paths: ['***'], destinations: [aws] }"), /paths\[0\]: a pattern has/],
    ['one name for all', sync("name: 'x'"), /name: all secrets would have one name/],
    ['one name for all keys', sync(`granularity: key, name: '${hole('secret.path')}'`), /name: .* put in secret\.key/],
    ['a key where there is none', sync(`name: '${hole('secret.key')}'`), /secret\.key is for granularity: key/],
    ['an unknown variable', sync(`name: '${hole('secret.pth')}'`), /syncs\.s\.name: .*pth/],
    [
      'a name that is never taken',
      sync(`name: 'a/${hole('secret.path')}'`, 'azure'),
      /azure-key-vault takes no such name/,
    ],
    ['a format for single keys', sync('granularity: key, format: json'), /format: with granularity: key/],
    ['a field without its format', sync('field: a'), /field: it says which value/],
    [
      'a tag of ours',
      sync('tags: { Apostille-Owner: x }'),
      /tags: Apostille-Owner: tags that begin with apostille- are ours/,
    ],
    ['a tag that AWS keeps', sync("tags: { 'aws:x': y }"), /tags: aws:x: aws-secrets-manager takes names/],
    ['a value of a tag', sync("tags: { a: 'b?' }"), /tags: a: aws-secrets-manager takes values/],
    [
      'more tags than fit',
      sync(`tags: { ${[...Array(11).keys()].map((at) => `t${at}: x`).join(', ')} }`, 'azure'),
      /tags: azure-key-vault takes at most 10 tags besides ours/,
    ],
    ['a share above all', sync('max_deletions: 120%'), /max_deletions: expected a share such as 20%/],
    ['a mode that is none', sync('deletion: keep'), /deletion: expected one of delete, orphan/],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)])
  })
})

describe('what is wrong with a destination is said where it stands', () => {
  const destination = (text: string) => `${base}  d: ${text}`
  const azure = (more: string) =>
    destination(`{ type: azure-key-vault, vault_url: 'https://p.vault.azure.net', ${more} }`)
  const gcp = (more: string) =>
    destination(`{ type: gcp-secret-manager, target: gcp, project: payments-prod, ${more} }`)
  const aws = (more: string) => destination(`{ type: aws-secrets-manager, target: aws, ${more} }`)
  test.each([
    [
      'an unknown target',
      destination('{ type: aws-secrets-manager, target: asw }'),
      /d\.target: there is no target asw: did you/,
    ],
    [
      'a target of another cloud',
      destination('{ type: aws-secrets-manager, target: gcp }'),
      /d\.target: gcp is a target of type gcp/,
    ],
    [
      'a token for another API',
      azure('target: azure'),
      /give azure scopes: \['https:\/\/vault\.azure\.net\/\.default'\]/,
    ],
    ['a window that is too short', aws('recovery_window: 1d'), /recovery_window: expected 7d to 30d/],
    ['a window of hours', aws('recovery_window: 200h'), /recovery_window: expected whole days/],
    [
      'replicas of one region',
      gcp('location: europe-west1, replication: automatic'),
      /replication: secrets of one region/,
    ],
    ['a label in capitals', gcp('labels: { Team: a }'), /labels: Team: a label is lower-case/],
    [
      'an annotation of ours',
      gcp('annotations: { apostille-owner: a }'),
      /annotations: apostille-owner: tags that begin/,
    ],
    [
      'plain http',
      destination("{ type: azure-key-vault, target: vault, vault_url: 'http://p.vault.azure.net' }"),
      /https URL/,
    ],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(expected)])
  })

  test('a source may not have the name of our own store', () => {
    expect(problemsOf(base.replace('mounted:', 'kv:'))).toEqual([
      expect.stringMatching(/^sources\.kv: kv is our own store/),
    ])
  })

  test.each(['a b', 'é', '', 'a/b', '..'])('the name %j is none', (name) => {
    const text = `${base}syncs: { ${JSON.stringify(name)}: { paths: [a], destinations: [aws] } }`
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^syncs\..*: expected a name of letters, digits, dot/)])
  })

  test('what is broken in itself is told once', () => {
    const broken = `${base.replace('role_arn:', 'role:')}syncs: { s: { paths: [a], destinations: [aws] } }`
    expect(problemsOf(broken).filter((problem) => !problem.startsWith('targets.aws'))).toEqual([])
  })
})
