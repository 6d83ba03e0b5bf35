import { expect, test } from 'vitest'
import {
  buildTokenExchangeAnswer,
  parseTokenExchange,
  tokenExchangeGrantType,
  unsupportedGrantTypeDetail,
} from '../../src/protocol/token-exchange.ts'

const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`
const request: readonly (readonly [string, string])[] = [
  ['grant_type', tokenExchangeGrantType],
  ['subject_token', 'a.b.c'],
  ['subject_token_type', type('jwt')],
  ['audience', 'https://api.example.org'],
]
const without = (name: string) => request.filter(([known]) => known !== name)
const parse = (members: readonly (readonly [string, string])[]) =>
  parseTokenExchange(new URLSearchParams(members.map(([name, value]): [string, string] => [name, value])))
const parsed = {
  subjectToken: 'a.b.c',
  subjectTokenType: type('jwt'),
  audience: ['https://api.example.org'],
}

test.each<[string, readonly (readonly [string, string])[], object]>([
  ['the least there must be', request, parsed],
  ['several audiences', [...request, ['audience', 'b']], { ...parsed, audience: ['https://api.example.org', 'b'] }],
  [
    'an ID token',
    [...without('subject_token_type'), ['subject_token_type', type('id_token')]],
    { ...parsed, subjectTokenType: type('id_token') },
  ],
  [
    'an access token',
    [...without('subject_token_type'), ['subject_token_type', type('access_token')]],
    { ...parsed, subjectTokenType: type('access_token') },
  ],
  [
    'a SPIFFE ID',
    [...request, ['spiffe_id', 'spiffe://example.org/a']],
    { ...parsed, requestedSpiffeId: 'spiffe://example.org/a' },
  ],
  ['a JWT asked for', [...request, ['requested_token_type', type('jwt')]], parsed],
  [
    'unknown parameters, even repeated',
    [...request, ['scope', 'a'], ['x', '1'], ['x', '2'], ['resource', 'https://a']],
    parsed,
  ],
  [
    'parameters without a value',
    [...request, ['spiffe_id', ''], ['actor_token', ''], ['requested_token_type', '']],
    parsed,
  ],
])('reads %s', (_, members, expected) => {
  expect(parse(members)).toEqual(expected)
})

test.each<[string, readonly (readonly [string, string])[]]>([
  ['nothing', []],
  ['no grant type', without('grant_type')],
  ['no subject token', without('subject_token')],
  ['an empty subject token', [...without('subject_token'), ['subject_token', '']]],
  ['no subject token type', without('subject_token_type')],
  ['no audience', without('audience')],
  ['an empty audience', [...without('audience'), ['audience', '']]],
  ['a SAML assertion', [...without('subject_token_type'), ['subject_token_type', type('saml2')]]],
  ['a refresh token', [...without('subject_token_type'), ['subject_token_type', type('refresh_token')]]],
  ['a short name of the type', [...without('subject_token_type'), ['subject_token_type', 'jwt']]],
  ['an access token asked for', [...request, ['requested_token_type', type('access_token')]]],
  ['an actor', [...request, ['actor_token', 'd.e.f'], ['actor_token_type', type('jwt')]]],
  ['an actor type alone', [...request, ['actor_token_type', type('jwt')]]],
  ...['grant_type', 'subject_token', 'subject_token_type'].map(
    (name): [string, readonly (readonly [string, string])[]] => [
      `${name} twice`,
      [...request, ...request.filter(([known]) => known === name)],
    ],
  ),
  ['spiffe_id twice', [...request, ['spiffe_id', 'a'], ['spiffe_id', 'a']]],
  ['an empty repetition', [...request, ['subject_token', '']]],
  [
    'requested_token_type twice',
    [...request, ['requested_token_type', type('jwt')], ['requested_token_type', type('jwt')]],
  ],
])('refuses %s', (_, members) => {
  expect(() => parse(members)).toThrow(expect.objectContaining({ code: 'token_exchange' }))
  expect(() => parse(members)).not.toThrow(expect.objectContaining({ detail: unsupportedGrantTypeDetail }))
})

test('another grant is told apart', () => {
  const members = [...without('grant_type'), ['grant_type', 'client_credentials'] as const]
  expect(() => parse(members)).toThrow(
    expect.objectContaining({ code: 'token_exchange', detail: unsupportedGrantTypeDetail }),
  )
})

test('the answer has the members of RFC 8693', () => {
  expect(buildTokenExchangeAnswer({ token: 'a.b.c', expiresInSeconds: 300 })).toEqual({
    access_token: 'a.b.c',
    issued_token_type: type('jwt'),
    token_type: 'N_A',
    expires_in: 300,
  })
})
