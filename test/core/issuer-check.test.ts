import { expect, test } from 'vitest'
import { checkAlgorithm, checkDiscovery, checkKeys, type IssuerAnswer } from '../../src/core/issuer-check.ts'
import { buildDiscoveryDocument } from '../../src/protocol/oidc-discovery.ts'

const issuer = 'https://id.example.org/td'
const document = buildDiscoveryDocument({ issuer, jwksUri: `${issuer}/keys`, algorithms: ['ES256', 'RS256'] })
const key = { kty: 'EC', crv: 'P-256', kid: 'one', alg: 'ES256', use: 'sig', x: 'x', y: 'y' }

function answerOf(body: unknown, more: Partial<IssuerAnswer> = {}): IssuerAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { url: `${issuer}/x`, status: 200, mediaType: 'application/json', text, durationMs: 1, ...more }
}

const codesOf = ({ findings }: { readonly findings: readonly { readonly code: string }[] }) =>
  findings.map(({ code }) => code)

test('the document that we publish passes', () => {
  expect(checkDiscovery(answerOf(document), issuer)).toEqual({
    findings: [],
    jwksUri: `${issuer}/keys`,
    algorithms: ['ES256', 'RS256'],
  })
})

test.each<[string, IssuerAnswer, readonly string[]]>([
  ['a redirect', answerOf('', { status: 308, location: 'https://x.example/' }), ['discovery_redirect']],
  ['a status', answerOf(document, { status: 206 }), ['discovery_status']],
  ['a type', answerOf(document, { mediaType: 'text/plain' }), ['discovery_content_type']],
  ['no type', answerOf(document, { mediaType: '' }), ['discovery_content_type']],
  ['no JSON', answerOf('<html>'), ['discovery_not_json']],
  ['a list', answerOf([]), ['discovery_not_json']],
  ['a member twice', answerOf(`{"issuer":"${issuer}","issuer":"${issuer}"}`), ['discovery_not_json']],
  ['a slash more', answerOf({ ...document, issuer: `${issuer}/` }), ['discovery_issuer']],
  ['no issuer', answerOf({ ...document, issuer: undefined }), ['discovery_issuer']],
  ['http keys', answerOf({ ...document, jwks_uri: 'http://id.example.org/keys' }), ['discovery_jwks_uri']],
  ['no keys', answerOf({ ...document, jwks_uri: undefined }), ['discovery_jwks_uri']],
  ['no id_token', answerOf({ ...document, response_types_supported: ['code'] }), ['discovery_member']],
  ['no algorithms', answerOf({ ...document, id_token_signing_alg_values_supported: [] }), ['discovery_member']],
  ['no subject type', answerOf({ ...document, subject_types_supported: 'public' }), ['discovery_member']],
])('a discovery document with %s', (_, answer, codes) => {
  expect(codesOf(checkDiscovery(answer, issuer))).toEqual(codes)
})

const signer = { kid: 'one', algorithm: 'ES256' } as const

test('the keys that we publish pass, and are counted', () => {
  const answer = answerOf({ keys: [key, { ...key, kid: 'two' }] }, { mediaType: 'application/jwk-set+json' })
  expect(checkKeys(answer, signer)).toEqual({ findings: [], count: 2 })
})

test.each<[string, unknown, readonly string[]]>([
  ['of no list', { keys: {} }, ['keys_not_json']],
  ['of none', { keys: [] }, ['keys_none']],
  ['of 101', { keys: Array.from({ length: 101 }, () => key) }, ['keys_many']],
  ['without use', { keys: [{ ...key, use: undefined }] }, ['keys_use']],
  ['of a SPIFFE bundle', { keys: [{ ...key, use: 'jwt-svid' }] }, ['keys_use']],
  ['without alg', { keys: [{ ...key, alg: undefined }] }, ['keys_alg', 'keys_signer_alg']],
  ['with a private half', { keys: [{ ...key, d: 'd' }] }, ['keys_private']],
  ['without the one that signs', { keys: [{ ...key, kid: 'old' }] }, ['keys_signer']],
  ['with the one that signs for another algorithm', { keys: [{ ...key, alg: 'ES384' }] }, ['keys_signer_alg']],
])('a key set %s', (_, body, codes) => {
  expect(codesOf(checkKeys(answerOf(body), signer))).toEqual(codes)
})

test('a key set is not held against what signs where that is not known', () => {
  expect(codesOf(checkKeys(answerOf({ keys: [key] }), undefined))).toEqual([])
})

test('what is wrong with many keys is said once, with how many', () => {
  const { findings } = checkKeys(answerOf({ keys: [key, key, key].map(({ use: _, ...rest }) => rest) }), undefined)
  expect(findings).toHaveLength(1)
  expect(findings[0]?.message).toContain('(and 2 more keys)')
})

test('what others wrote is one printable line', () => {
  const { findings } = checkDiscovery(answerOf({ ...document, issuer: `\u001b[2J\n${'x'.repeat(5000)}` }), issuer)
  expect(findings[0]?.message).toMatch(/^[\x20-\x7e…]{1,400}$/)
})

test.each<[string, readonly string[], readonly string[]]>([
  ['is listed', ['RS256', 'ES256'], []],
  ['is not listed', ['RS256'], ['algorithm_unlisted']],
  ['is not known to be listed', [], []],
])('an algorithm that %s', (_, algorithms, codes) => {
  expect(checkAlgorithm(algorithms, 'ES256').map(({ code }) => code)).toEqual(codes)
})
