import { expect, test } from 'vitest'
import { buildDiscoveryDocument, parseDiscoveryDocument, parseIssuer } from '../../src/protocol/oidc-discovery.ts'

const refusal = expect.objectContaining({ code: 'oidc_discovery' })
const issuer = 'https://id.example.org'
const jwksUri = 'https://id.example.org/keys'

test('our document has what AWS, Azure and Google read', () => {
  expect(buildDiscoveryDocument({ issuer, jwksUri, algorithms: ['ES256', 'RS256'] })).toEqual({
    issuer,
    jwks_uri: jwksUri,
    authorization_endpoint: 'urn:apostille:programmatic_authorization',
    token_endpoint: 'https://id.example.org/token',
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti'],
    grant_types_supported: ['urn:ietf:params:oauth:grant-type:token-exchange'],
    token_endpoint_auth_methods_supported: ['none'],
  })
})

test.each([
  'https://id.example.org',
  'https://id.example.org/',
  'https://id.example.org/a',
  'https://id.example.org/a/',
])('our document for %s is read back', (text) => {
  const document = buildDiscoveryDocument({ issuer: text, jwksUri, algorithms: ['ES256'] })
  expect(parseDiscoveryDocument(JSON.parse(JSON.stringify(document)), text)).toEqual({ issuer: text, jwksUri })
  expect(document.token_endpoint).toBe(`${text.replace(/\/$/, '')}/token`)
})

test.each([
  ['a port', 'https://id.example.org:8443/keys'],
  ['another host', 'https://keys.example.net/a'],
  ['a query', 'https://id.example.org/keys?v=1'],
])('takes a jwks_uri with %s', (_, uri) => {
  expect(parseDiscoveryDocument({ issuer, jwks_uri: uri, more: true }, issuer)).toEqual({ issuer, jwksUri: uri })
})

test.each<[string, unknown]>([
  ['no object', [issuer, jwksUri]],
  ['null', null],
  ['no issuer', { jwks_uri: jwksUri }],
  ['another issuer', { issuer: 'https://evil.example', jwks_uri: jwksUri }],
  ['an issuer with a slash more', { issuer: `${issuer}/`, jwks_uri: jwksUri }],
  ['an issuer in other case', { issuer: 'https://ID.example.org', jwks_uri: jwksUri }],
  ['no jwks_uri', { issuer }],
  ['a jwks_uri that is a number', { issuer, jwks_uri: 1 }],
  ['a relative jwks_uri', { issuer, jwks_uri: '/keys' }],
  ['a jwks_uri over http', { issuer, jwks_uri: 'http://id.example.org/keys' }],
  ['a jwks_uri of a file', { issuer, jwks_uri: 'file:///etc/passwd' }],
  ['a jwks_uri with a user', { issuer, jwks_uri: 'https://u:p@id.example.org/keys' }],
  ['a jwks_uri with a fragment', { issuer, jwks_uri: 'https://id.example.org/keys#a' }],
])('refuses a document with %s', (_, value) => {
  expect(() => parseDiscoveryDocument(value, issuer)).toThrow(refusal)
})

test.each([
  'https://id.example.org',
  'https://id.example.org/',
  'https://id.example.org/tenant/a',
  'https://id.example.org/tenant/',
  'https://id.example.org:8443',
  'https://10.0.0.1/a',
  'https://[::1]:8443',
  'https://id.example.org/a%20b',
])('takes the issuer %s as it is', (text) => {
  expect(parseIssuer(text)).toBe(text)
})

test.each([
  ['nothing', ''],
  ['no scheme', 'id.example.org'],
  ['http', 'http://id.example.org'],
  ['an upper-case scheme', 'HTTPS://id.example.org'],
  ['an upper-case host', 'https://ID.example.org'],
  ['white space', ' https://id.example.org'],
  ['a line feed', 'https://id.example.org\n'],
  ['a query', 'https://id.example.org/?a=b'],
  ['an empty query', 'https://id.example.org/?'],
  ['a fragment', 'https://id.example.org/#a'],
  ['an empty fragment', 'https://id.example.org/#'],
  ['a user', 'https://u@id.example.org'],
  ['an empty user', 'https://@id.example.org'],
  ['a password', 'https://u:p@id.example.org'],
  ['the default port', 'https://id.example.org:443'],
  ['an empty port', 'https://id.example.org:'],
  ['a dot segment', 'https://id.example.org/a/../b'],
  ['an encoded dot segment', 'https://id.example.org/a/%2e%2e/b'],
  ['a backslash', 'https://id.example.org\\a'],
  ['a non-ASCII host', 'https://ïd.example.org'],
  ['no host', 'https://'],
  ['a single slash', 'https:/id.example.org'],
])('refuses an issuer with %s', (_, text) => {
  expect(() => parseIssuer(text)).toThrow(refusal)
})
