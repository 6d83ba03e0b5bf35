import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/core/config.ts'
import { formatBindings, readConfiguration, readSealKey } from '../../src/runtime/bindings.worker.ts'
import { type Document, testDocument } from '../support/gateway.ts'

const files = { './ci.jwks.json': '{"keys":[]}' }
const textOf = (changes: Document) => JSON.stringify({ ...testDocument, ...changes }, undefined, 2)
const bind = (changes: Document = {}, bound: Readonly<Record<string, string>> = files) => {
  const { variables, secrets } = formatBindings(textOf(changes), bound)
  return { ...variables, ...secrets }
}

test('reads what was bound, with the files that it names', async () => {
  const { config, files: reader } = readConfiguration(bind())
  expect(config.trustDomain).toBe('example.org')
  expect(await reader.read('./ci.jwks.json')).toBe('{"keys":[]}')
  await expect(reader.read('./other')).rejects.toMatchObject({ code: 'ENOENT' })
})

test('what is longer than a variable may be goes in parts, and none of them splits a character', () => {
  const hint = '€'.repeat(4000)
  const { variables, secrets } = formatBindings(textOf({}), { ...files, hint })
  const parts = Object.values({ ...variables, ...secrets })
  expect(Object.keys(secrets)).toEqual(['APOSTILLE_FILES', 'APOSTILLE_FILES_2', 'APOSTILLE_FILES_3'])
  expect(Math.max(...parts.map((part) => Buffer.byteLength(part)))).toBeLessThanOrEqual(5000)
  expect(parts.join('')).not.toContain('\ufffd')
  expect(readConfiguration({ ...variables, ...secrets }).config.trustDomain).toBe('example.org')
})

test.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
  ['no configuration', {}, /no configuration: bind the document, as text, to APOSTILLE_CONFIG/],
  ['an empty one', { APOSTILLE_CONFIG: '' }, /no configuration/],
  ['files that are no JSON', { ...bind(), APOSTILLE_FILES: '{' }, /APOSTILLE_FILES can not be read: a JSON object/],
  ['files that are no texts', { ...bind(), APOSTILLE_FILES: '{"a":1}' }, /have to be texts/],
  ['files that are null', { ...bind(), APOSTILLE_FILES: 'null' }, /APOSTILLE_FILES can not be read/],
])('%s is said in words', (_, bindings, message) => {
  expect(() => readConfiguration(bindings)).toThrow(message)
})

const ci = { type: 'oidc', issuer: 'https://ci.example', audience: 'https://id.example.org' }
const aws = { type: 'aws', role_arn: 'arn:aws:iam::123456789012:role/x', region: 'eu-west-1' }
const syncFrom = (source: Document, destination: Document = {}) => ({
  targets: { aws },
  sources: { there: source },
  destinations: { aws: { type: 'aws-secrets-manager', target: 'aws', ...destination } },
  syncs: { one: { source: 'there', paths: ['*'], destinations: ['aws'] } },
})
const spire = (peer: Document) => ({ federation: { 'spire.example': { bundle: './spire.json', ...peer } } })

test.each<[string, Document, string, RegExp]>([
  [
    'a file that is not bound',
    { authenticators: { ci: { ...ci, jwks_file: './x' } } },
    'authenticators.ci.jwks_file',
    /add it to APOSTILLE_FILES/,
  ],
  [
    'an authority of its own',
    { authenticators: { ci: { ...ci, ca_file: './ca.pem' } } },
    'authenticators.ci.ca_file',
    /public authorities/,
  ],
  [
    'one of a target',
    {
      targets: {
        away: { ...aws, ca_file: './ca.pem' },
      },
    },
    'targets.away.ca_file',
    /public authorities/,
  ],
  ['a first bundle that is not bound', spire({}), 'federation.spire.example.bundle', /add it to APOSTILLE_FILES/],
  [
    'a profile that needs the certificate of the server',
    spire({
      endpoint: 'https://spire.example',
      profile: 'https_spiffe',
      endpoint_spiffe_id: 'spiffe://spire.example/spire/server',
    }),
    'federation.spire.example.profile',
    /use https_web/,
  ],
  ['a database of its own', { store: 'postgres://apostille@localhost/apostille' }, 'store', /Durable Object or in D1/],
  [
    'a folder as the source of a sync',
    syncFrom({ type: 'directory', path: './secrets' }),
    'sources.there',
    /from kv or vault/,
  ],
  [
    'an authority of a source that is none of the public ones',
    syncFrom({
      ...{ type: 'vault', address: 'https://vault.example', role: 'apostille', audience: 'vault' },
      ca_file: './vault.pem',
    }),
    'sources.there.ca_file',
    /public authorities/,
  ],
  [
    'an authority of a destination that is none of the public ones',
    syncFrom({ type: 'directory', path: './secrets' }, { ca_file: './store.pem' }),
    'destinations.aws.ca_file',
    /public authorities/,
  ],
  [
    'a listener of its own',
    { bundle_endpoint: { address: '0.0.0.0:8444', profile: 'https_spiffe' } },
    'bundle_endpoint',
    /served at \/v1\/bundle/,
  ],
])('%s is an error with its place, as no Worker does it', (_, changes, path, message) => {
  const policies = 'targets' in changes ? { policies: [] } : { policies: [], targets: {}, identities: [] }
  try {
    readConfiguration(bind({ ...policies, ...changes }))
    expect.unreachable()
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    expect(error.diagnostics).toContainEqual(
      expect.objectContaining({
        severity: 'error',
        path,
        message: expect.stringMatching(message),
        line: expect.any(Number),
      }),
    )
    expect(error.diagnostics[0]?.line).toBeGreaterThan(1)
  }
})

test('files of TLS are left alone, as the platform has the TLS', () => {
  const tls = { certificate: './tls.crt', key: './tls.key' }
  expect(() => readConfiguration(bind({ listen: { address: '0.0.0.0:8443', tls } }))).not.toThrow()
})

describe('the seal key', () => {
  const key = Buffer.alloc(32, 7)

  test.each([
    ['that stands in a file elsewhere is a secret of ours', { file: './seal.key' }, 'APOSTILLE_SEAL_KEY'],
    ['of the environment is the secret of that name', { env: 'MY_KEY' }, 'MY_KEY'],
  ])('%s', (_, seal, name) => {
    expect(Buffer.from(readSealKey({ [name]: key.toString('base64') }, { seal })).equals(key)).toBe(true)
    expect(() => readSealKey({}, { seal })).toThrow(`wrangler secret put ${name}`)
    expect(() => readSealKey({ [name]: 'AAAA' }, { seal })).toThrow(/the seal key has 3 bytes/)
  })
})
