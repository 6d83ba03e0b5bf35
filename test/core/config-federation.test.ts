import { describe, expect, test } from 'vitest'
import { ConfigurationError, parseConfiguration } from '../../src/core/config.ts'

const base = `trust_domain: example.org
issuer: https://id.example.org
listen: { address: 127.0.0.1:8443 }
store: sqlite:./data/a.db
seal: { file: ./data/seal.key }
metrics: { listen: 127.0.0.1:9464 }`

/** `line:column path: message` of each, in order. */
function problemsOf(text: string): readonly string[] {
  try {
    parseConfiguration(text)
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.diagnostics.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`)
  }
}

/** Peers from line 8 on. */
const withPeers = (...peers: readonly string[]) =>
  `${base}\nfederation:\n${peers.map((peer) => `  ${peer}`).join('\n')}`
const peersOf = (...peers: readonly string[]) => parseConfiguration(withPeers(...peers)).federation

test('without federation there are no peers', () => {
  expect(parseConfiguration(base).federation).toEqual([])
})

test('peers are read with their files and endpoints', () => {
  const peers = peersOf(
    'a.example: { bundle: a.json }',
    'b.example: { endpoint: "https://10.0.0.1:8443/x", profile: https_web, ca_file: ca.pem, private: true }',
    'c.example: { bundle: c.json, endpoint: "https://c.example", profile: https_spiffe, endpoint_spiffe_id: spiffe://c.example/spire/server }',
    'd.example: { endpoint: "https://d.example/", profile: https_spiffe, endpoint_spiffe_id: spiffe://example.org/proxy }',
  )
  const spiffeId = (trustDomain: string, path: string) => ({ uri: `spiffe://${trustDomain}${path}`, trustDomain, path })
  expect(peers).toEqual([
    { trustDomain: 'a.example', bundleFile: 'a.json' },
    {
      trustDomain: 'b.example',
      endpoint: { url: 'https://10.0.0.1:8443/x', private: true, profile: 'https_web', caFile: 'ca.pem' },
    },
    {
      trustDomain: 'c.example',
      bundleFile: 'c.json',
      endpoint: {
        url: 'https://c.example',
        private: false,
        profile: 'https_spiffe',
        spiffeId: spiffeId('c.example', '/spire/server'),
      },
    },
    {
      trustDomain: 'd.example',
      endpoint: {
        url: 'https://d.example/',
        private: false,
        profile: 'https_spiffe',
        spiffeId: spiffeId('example.org', '/proxy'),
      },
    },
  ])
})

const circle =
  'this endpoint is authenticated by a bundle that can never be had, as endpoints vouch for each other in a circle: give one of them a first bundle'

describe('one peer', () => {
  test.each<readonly [string, string]>([
    ['a.example: {}', '8:14 federation.a.example: a bundle, an endpoint or both are needed'],
    ['a.example: { private: true }', '8:14 federation.a.example: a bundle, an endpoint or both are needed'],
    ['a.example:', '8:13 federation.a.example: expected keys and their values'],
    ['a.example: a.json', '8:14 federation.a.example: expected keys and their values'],
    ['A.example: { bundle: a }', '8:3 federation.A.example: expected a trust domain name, in lower case'],
    ['"a b": { bundle: a }', '8:3 federation.a b: expected a trust domain name, in lower case'],
    [
      'example.org: { bundle: a }',
      '8:16 federation.example.org: this is our own trust domain, which needs no federation',
    ],
    ['a.example: { bundle: "" }', '8:24 federation.a.example.bundle: expected a text that is not empty'],
    ['a.example: { bundle: a, bundel: a }', '8:27 federation.a.example.bundel: unknown key: did you mean bundle?'],
    [
      'a.example: { endpoint: "http://a.example", profile: https_web }',
      '8:26 federation.a.example.endpoint: expected an https URL',
    ],
    [
      'a.example: { endpoint: a.example, profile: https_web }',
      '8:26 federation.a.example.endpoint: expected an https URL',
    ],
    [
      'a.example: { endpoint: "https://u:p@a.example", profile: https_web }',
      '8:26 federation.a.example.endpoint: expected an https URL without user or password',
    ],
    [
      'a.example: { endpoint: "https://a.example" }',
      '8:26 federation.a.example.endpoint: an endpoint has a profile: https_web or https_spiffe',
    ],
    [
      'a.example: { endpoint: "https://a.example", profile: web }',
      '8:56 federation.a.example.profile: expected https_web or https_spiffe',
    ],
    [
      'a.example: { bundle: a, profile: https_web }',
      '8:36 federation.a.example.profile: a profile is that of an endpoint',
    ],
    [
      'a.example: { bundle: a, endpoint: "https://a.example", profile: https_spiffe }',
      '8:67 federation.a.example.profile: https_spiffe needs endpoint_spiffe_id, by which the endpoint is known',
    ],
    [
      'a.example: { endpoint: "https://a.example", profile: https_web, endpoint_spiffe_id: spiffe://a.example/x }',
      '8:87 federation.a.example.endpoint_spiffe_id: only an endpoint with profile https_spiffe is known by a SPIFFE ID',
    ],
    [
      'a.example: { bundle: a, endpoint_spiffe_id: spiffe://a.example/x }',
      '8:47 federation.a.example.endpoint_spiffe_id: only an endpoint with profile https_spiffe is known by a SPIFFE ID',
    ],
    [
      'a.example: { bundle: a, endpoint: "https://a.example", profile: https_spiffe, endpoint_spiffe_id: spiffe://a.example/x, ca_file: f }',
      '8:132 federation.a.example.ca_file: only an endpoint with profile https_web is known by a CA',
    ],
    [
      'a.example: { bundle: a, ca_file: f }',
      '8:36 federation.a.example.ca_file: only an endpoint with profile https_web is known by a CA',
    ],
    [
      'a.example: { bundle: a, endpoint: "https://a.example", profile: https_spiffe, endpoint_spiffe_id: a.example }',
      '8:101 federation.a.example.endpoint_spiffe_id: expected a SPIFFE ID',
    ],
    [
      'a.example: { bundle: a, endpoint: "https://a.example", profile: https_spiffe, endpoint_spiffe_id: spiffe://a.example }',
      '8:101 federation.a.example.endpoint_spiffe_id: an ID without a path is that of no server',
    ],
    [
      'a.example: { endpoint: "https://a.example", profile: https_spiffe, endpoint_spiffe_id: spiffe://b.example/x }',
      '8:90 federation.a.example.endpoint_spiffe_id: there is no federation with b.example, whose bundle would authenticate this endpoint: add it',
    ],
    [
      'a.example: { endpoint: "https://a.example", profile: https_spiffe, endpoint_spiffe_id: spiffe://a.example/x }',
      '8:14 federation.a.example.bundle: an endpoint of the same trust domain is authenticated by the bundle that is held: a first one is needed, in a file',
    ],
    ['a.example: { bundle: a, private: maybe }', '8:36 federation.a.example.private: expected true or false'],
  ])('%s', (peer, expected) => {
    expect(problemsOf(withPeers(peer))).toEqual([expected])
  })

  test('that can not be read keeps no mistake of another from being told, and what they need of each other waits', () => {
    const text = withPeers(
      'a.example: { endpoint: "http://a.example", profile: https_web }',
      'example.org: { bundle: a }',
      'b.example: { bundle: b, endpoint: "https://b.example", profile: https_spiffe, endpoint_spiffe_id: spiffe://b.example }',
      'c.example: { endpoint: "https://c.example", profile: https_spiffe, endpoint_spiffe_id: spiffe://a.example/x }',
    )
    expect(problemsOf(text)).toEqual([
      '8:26 federation.a.example.endpoint: expected an https URL',
      '9:16 federation.example.org: this is our own trust domain, which needs no federation',
      '10:101 federation.b.example.endpoint_spiffe_id: an ID without a path is that of no server',
    ])
  })

  test('what is no map is told once', () => {
    expect(problemsOf(`${base}\nfederation: [a.example]`)).toEqual(['7:13 federation: expected keys and their values'])
  })

  test('a trust domain twice is a mistake', () => {
    expect(problemsOf(withPeers('a.example: { bundle: a }', 'a.example: { bundle: b }'))).toEqual([
      expect.stringMatching(/^9:3 /),
    ])
  })
})

describe('several peers', () => {
  const by = (name: string, of: string) =>
    `${name}: { endpoint: "https://${name}", profile: https_spiffe, endpoint_spiffe_id: spiffe://${of}/x }`

  test('endpoints may vouch for each other in a chain, and not in a circle', () => {
    expect(
      peersOf(by('a.example', 'b.example'), by('b.example', 'c.example'), 'c.example: { bundle: c }'),
    ).toHaveLength(3)
    expect(problemsOf(withPeers(by('a.example', 'b.example'), by('b.example', 'a.example')))).toEqual([
      `8:90 federation.a.example.endpoint_spiffe_id: ${circle}`,
      `9:90 federation.b.example.endpoint_spiffe_id: ${circle}`,
    ])
  })

  test('the mistakes of all are told at once, and none that only follow from another', () => {
    const text = withPeers(
      'a.example: { endpoint: "https://a.example" }',
      by('b.example', 'a.example'),
      'c.example: {}',
      'd.example: { endpoint: "https://u@d.example", profile: https_web }',
    )
    expect(problemsOf(text).map((problem) => problem.split(': ')[0])).toEqual([
      '8:26 federation.a.example.endpoint',
      '10:14 federation.c.example',
      '11:26 federation.d.example.endpoint',
    ])
  })

  test('one that can not be read says nothing of the others', () => {
    const text = withPeers('a.example: { bundle: 7 }', by('b.example', 'a.example'))
    expect(problemsOf(text)).toEqual(['8:24 federation.a.example.bundle: expected a text'])
  })
})

describe('an authenticator of a foreign trust domain', () => {
  const authenticators = 'authenticators:\n  spire: { type: spiffe, trust_domain: spire.example }'

  test('needs a federation with it', () => {
    expect(problemsOf(`${base}\n${authenticators}`)).toEqual([
      '8:40 authenticators.spire.trust_domain: there is no bundle for spire.example: add it to federation',
    ])
    expect(problemsOf(`${withPeers('other.example: { bundle: a }')}\n${authenticators}`)).toEqual([
      '10:40 authenticators.spire.trust_domain: there is no bundle for spire.example: add it to federation',
    ])
    expect(problemsOf(`${withPeers('spire.example: { bundle: a }')}\n${authenticators}`)).toEqual([])
  })

  test('is not blamed for a federation that can not be read', () => {
    expect(problemsOf(`${withPeers('spire.example: { bundle: 7 }')}\n${authenticators}`)).toEqual([
      '8:28 federation.spire.example.bundle: expected a text',
    ])
  })
})

describe('the bundle endpoint', () => {
  const endpoint = (text: string) => `${base}\nbundle_endpoint: ${text}`

  test('has an address of its own and one profile', () => {
    expect(parseConfiguration(endpoint('{ address: "[::1]:8444", profile: https_spiffe }')).bundle_endpoint).toEqual({
      address: { kind: 'tcp', host: '::1', port: 8444 },
      profile: 'https_spiffe',
    })
  })

  test.each<readonly [string, string]>([
    [
      '{ address: 127.0.0.1:8444 }',
      '7:18 bundle_endpoint.profile: profile is missing: expected https_spiffe: the other profile is served by listen, at /v1/bundle',
    ],
    [
      '{ address: 127.0.0.1:8444, profile: https_web }',
      '7:54 bundle_endpoint.profile: expected https_spiffe: the other profile is served by listen, at /v1/bundle',
    ],
    ['{ profile: https_spiffe }', '7:18 bundle_endpoint.address: address is missing: expected a text'],
    [
      '{ address: 127.0.0.1:8443, profile: https_spiffe }',
      '7:29 bundle_endpoint.address: another listener has this address',
    ],
    [
      '{ address: 127.0.0.1:9464, profile: https_spiffe }',
      '7:29 bundle_endpoint.address: another listener has this address',
    ],
    [
      '{ address: 127.0.0.1:8444, profile: https_spiffe, tls: off }',
      '7:68 bundle_endpoint.tls: unknown key: there are address, profile',
    ],
  ])('%s', (text, expected) => {
    expect(problemsOf(endpoint(text))).toEqual([expected])
  })

  test('its host is none that a workload may have as DNS name', () => {
    const text = `${endpoint('{ address: bundles.example.org:8444, profile: https_spiffe }')}
authenticators: { first: { type: join_token } }
identities: [{ spiffe_id: /a, from: first, dns_names: [bundles.example.org] }]`
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^9:56 identities\[0\]\.dns_names\[0\]: /)])
  })
})
