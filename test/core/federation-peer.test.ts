import { expect, test } from 'vitest'
import { findFederationProblems, type PeerOutline } from '../../src/core/federation-peer.ts'
import { parseSpiffeId, parseTrustDomain } from '../../src/protocol/spiffe-id.ts'

const ours = parseTrustDomain('ours.example')

interface Wishes {
  readonly file?: boolean
  /** `web`, or the ID of the server. */
  readonly by?: string
  readonly url?: string
}

function outline(name: string, { file = false, by, url = `https://${name}/` }: Wishes): PeerOutline {
  const place = { url, private: false }
  const base = { trustDomain: parseTrustDomain(name), hasFirstBundle: file }
  if (by === undefined) return base
  if (by === 'web') return { ...base, endpoint: { ...place, profile: 'https_web' } }
  return { ...base, endpoint: { ...place, profile: 'https_spiffe', spiffeId: parseSpiffeId(by) } }
}

function problemsOf(peers: Readonly<Record<string, Wishes>>): readonly string[] {
  const outlines = Object.entries(peers).map(([name, wishes]) => outline(name, wishes))
  return findFederationProblems(outlines, ours).map(({ path }) => path.join(' '))
}

const server = (name: string) => `spiffe://${name}/bundle-server`

test.each<[string, Readonly<Record<string, Wishes>>]>([
  ['nobody', {}],
  ['a file alone', { 'a.example': { file: true } }],
  ['the web profile alone', { 'a.example': { by: 'web' } }],
  ['an endpoint of the same trust domain, with a file', { 'a.example': { file: true, by: server('a.example') } }],
  ['an endpoint in ours', { 'a.example': { by: server('ours.example') } }],
  ['an endpoint in a third trust domain', { 'a.example': { by: server('b.example') }, 'b.example': { by: 'web' } }],
  [
    'a chain that begins somewhere, in any order',
    {
      'a.example': { by: server('b.example') },
      'b.example': { by: server('c.example') },
      'c.example': { file: true },
    },
  ],
  [
    'a circle that one file opens',
    { 'a.example': { by: server('b.example'), file: true }, 'b.example': { by: server('a.example') } },
  ],
  ['a URL whose host is not the trust domain', { 'a.example': { by: 'web', url: 'https://10.0.0.1:8443/x?y' } }],
])('takes %s', (_, peers) => {
  expect(problemsOf(peers)).toEqual([])
})

test.each<[string, Readonly<Record<string, Wishes>>, readonly string[]]>([
  ['our own trust domain', { 'ours.example': { by: 'web' } }, ['federation ours.example']],
  ['neither file nor endpoint', { 'a.example': {} }, ['federation a.example']],
  ['http', { 'a.example': { by: 'web', url: 'http://a.example/' } }, ['federation a.example endpoint']],
  ['a user', { 'a.example': { by: 'web', url: 'https://u@a.example/' } }, ['federation a.example endpoint']],
  ['a password', { 'a.example': { by: 'web', url: 'https://:p@a.example/' } }, ['federation a.example endpoint']],
  ['what is no URL', { 'a.example': { by: 'web', url: 'a.example' } }, ['federation a.example endpoint']],
  [
    'an endpoint of the same trust domain without a file',
    { 'a.example': { by: server('a.example') } },
    ['federation a.example bundle'],
  ],
  [
    'an endpoint in an unknown trust domain, with a file or without',
    { 'a.example': { by: server('x.example') }, 'b.example': { by: server('x.example'), file: true } },
    ['federation a.example endpoint_spiffe_id', 'federation b.example endpoint_spiffe_id'],
  ],
  [
    'an ID without a path',
    { 'a.example': { by: 'spiffe://a.example', file: true } },
    ['federation a.example endpoint_spiffe_id'],
  ],
  [
    'a circle, and what hangs on it',
    {
      'a.example': { by: server('b.example') },
      'b.example': { by: server('a.example') },
      'c.example': { by: server('a.example') },
    },
    [
      'federation a.example endpoint_spiffe_id',
      'federation b.example endpoint_spiffe_id',
      'federation c.example endpoint_spiffe_id',
    ],
  ],
])('refuses %s', (_, peers, paths) => {
  expect(problemsOf(peers)).toEqual(paths)
})

test('a chain of a thousand is read in no time', () => {
  const peers = Array.from({ length: 1000 }, (_, n) => outline(`n${n}`, { by: server(`n${n + 1}`) }))
  expect(findFederationProblems([...peers, outline('n1000', { file: true })], ours)).toEqual([])
})
