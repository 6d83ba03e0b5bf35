import { expect, test } from 'vitest'
import { parseConfiguration } from '../../src/core/config.ts'
import { permittedIdentities } from '../../src/core/permitted-identities.ts'

const roleArn = 'arn:aws:iam::123456789012:role/payments'

function permitted(policies: readonly object[], actsAs?: string, syncs: object = {}) {
  const aws = { type: 'aws', role_arn: roleArn, region: 'eu-west-1', ...(actsAs !== undefined && { acts_as: actsAs }) }
  const config = parseConfiguration(
    JSON.stringify({
      trust_domain: 'example.org',
      issuer: 'https://id.example.org',
      listen: { address: '127.0.0.1:8443' },
      store: 'sqlite:a.db',
      seal: { file: 'seal.key' },
      authenticators: { first: { type: 'join_token' }, spire: { type: 'spiffe', trust_domain: 'spire.example' } },
      federation: { 'spire.example': { bundle: 'x.json' } },
      identities: [
        { name: 'db', spiffe_id: '/vm/db', from: 'first', when: "proof.name == 'db'" },
        { name: 'vm', spiffe_id: '/vm/${proof.name}', from: 'first' },
      ],
      targets: { s3: aws, other: aws },
      destinations: {
        there: { type: 'aws-secrets-manager', target: 's3' },
        elsewhere: { type: 'aws-secrets-manager', target: 'other' },
      },
      syncs,
      policies,
    }),
  )
  const target = config.targets.get('s3')
  if (target === undefined) throw new Error('no target')
  const { named, ...rest } = permittedIdentities(config, target)
  return { named: named.map(({ uri }) => uri), ...rest }
}

const permit = (when?: string, more: object = {}) => ({
  name: 'p',
  permit: 'exchange',
  to: 's3',
  ...(when !== undefined && { when }),
  ...more,
})
const id = (path: string) => `spiffe://example.org${path}`

test('syncs that go there are named, whatever policies say', () => {
  const to = (...destinations: string[]) => ({ paths: ['a/*'], destinations })
  const syncs = { one: to('there'), two: to('elsewhere', 'there'), three: to('elsewhere') }
  expect(permitted([permit("identity.path == '/a'")], undefined, syncs)).toEqual({
    named: ['/apostille/sync/one', '/apostille/sync/two', '/a'].map(id),
    open: [],
  })
})

test.each<[string, string | undefined, readonly string[], readonly string[]]>([
  ['an ID', "identity.spiffe_id == 'spiffe://example.org/a'", ['/a'], []],
  ['a path', "identity.path == '/a'", ['/a'], []],
  ['a list of paths', "identity.path in ['/a', '/b']", ['/a', '/b'], []],
  ['a rule that gives one identity', "identity.rule == 'db'", ['/vm/db'], []],
  ['a rule that gives many', "identity.rule == 'vm'", [], ['p']],
  ['a path and more', "identity.path in ['/a', '/b'] && request.address == '10.0.0.1'", ['/a', '/b'], []],
  ['two conditions on one', "identity.path in ['/a', '/b'] && identity.path.startsWith('/b')", ['/b'], []],
  ['an ID and a path', "identity.spiffe_id == 'spiffe://example.org/a' && identity.path == '/b'", [], []],
  ['a beginning', "identity.path.startsWith('/a')", [], ['p']],
  ['either', "identity.path == '/a' || identity.path == '/b'", [], ['p']],
  ['everybody', undefined, [], ['p']],
  ['a foreign ID', "identity.spiffe_id == 'spiffe://spire.example/a'", [], []],
  ['this target', "target.name == 's3' && identity.path == '/a'", ['/a'], []],
  ['another target', "target.name == 'other' && identity.path == '/a'", [], []],
  ['another kind of target', "target.type == 'gcp' && identity.path == '/a'", [], []],
])('a permit of %s', (_, when, named, open) => {
  expect(permitted([permit(when)])).toEqual({ named: named.map(id), open })
})

test('permits of all targets and all operations count, and those of others do not', () => {
  const policies = [
    permit("identity.path == '/a'", { name: 'star', permit: '*', to: '*' }),
    permit("identity.path == '/b'", { name: 'other', to: 'other' }),
    { name: 'svid', permit: 'jwt_svid', when: "identity.path == '/c'" },
  ]
  expect(permitted(policies)).toEqual({ named: [id('/a')], open: [] })
})

test('an identity that several permits name is there once', () => {
  const policies = [permit("identity.path == '/a'"), permit("identity.path in ['/a', '/b']", { name: 'q' })]
  expect(permitted(policies)).toEqual({ named: [id('/a'), id('/b')], open: [] })
})

test('a forbid that always holds is told, and one with a condition is not', () => {
  const forbid = (more: object) => ({ name: 'f', forbid: 'exchange', ...more })
  expect(permitted([permit(), forbid({ to: 's3' })])).toMatchObject({ forbiddenBy: 'f' })
  expect(permitted([permit(), forbid({ when: "identity.path == '/a'" })])).not.toHaveProperty('forbiddenBy')
})

test('a foreign ID counts where the target says whom it acts as', () => {
  const policies = [permit("identity.spiffe_id == 'spiffe://spire.example/a'")]
  expect(permitted(policies, '/cloud/payments')).toEqual({ named: ['spiffe://spire.example/a'], open: [] })
})
