import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigurationError, parseConfiguration } from '../../src/core/config.ts'

const lines = [
  'trust_domain: example.org',
  'issuer: https://id.example.org',
  'listen: { address: 127.0.0.1:8443 }',
  'store: sqlite:./data/a.db',
  'seal: { file: ./data/seal.key }',
  'authenticators:',
  '  cluster: { type: kubernetes, issuer: https://k.example, audience: a }',
  '  github: { type: oidc, issuer: https://g.example, audience: a }',
  '  first: { type: join_token }',
  '  ours: { type: spiffe, trust_domain: example.org }',
]
const base = lines.join('\n')

/** The base with one line in the place of the one that begins the same, or after all. */
function withLine(line: string): string {
  const key = line.split(':')[0]
  const at = lines.findIndex((other) => other.split(':')[0] === key)
  return at < 0 ? `${base}\n${line}` : lines.with(at, line).join('\n')
}

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

const warningsOf = (text: string) =>
  parseConfiguration(text).warnings.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`)

test('a small document has defaults for all the rest', () => {
  const config = parseConfiguration(base)
  expect(config).toMatchObject({
    digest: createHash('sha256').update(base).digest('hex'),
    trustDomain: 'example.org',
    issuer: 'https://id.example.org',
    listen: { address: { kind: 'tcp', host: '127.0.0.1', port: 8443 }, tls: 'self' },
    admin: { listen: { kind: 'unix', path: './data/admin.sock' } },
    store: { kind: 'sqlite', path: './data/a.db' },
    seal: { file: './data/seal.key' },
    authorities: {
      x509: { algorithm: 'ES256', ttlSeconds: 604_800 },
      jwt: { algorithms: ['ES256', 'RS256'], ttlSeconds: 604_800, rs256_audiences: ['api://AzureADTokenExchange'] },
    },
    limits: { refusals: 1000 },
    warnings: [],
  })
  expect(config).not.toHaveProperty('metrics')
  expect(config.authenticators.get('cluster')).toMatchObject({ name: 'cluster', private: false, max_stale: 86_400 })
})

test('everything that can be said is taken', () => {
  const text = `version: 1
${base}
  plain:
    type: kubernetes
    issuer: https://kubernetes.default.svc
    audience: https://id.example.org
    jwks_uri: https://10.0.0.1:6443/openid/v1/jwks
    ca_file: ca.crt
    token_file: token
    private: true
    max_stale: 1h
    token_review: { server: 'https://10.0.0.1:6443', ca_file: ca.crt, token_file: token }
admin: { listen: unix:/run/admin.sock }
metrics: { listen: '[::]:9464' }
authorities:
  x509: { algorithm: ES384, ttl: 1d, upstream: { certificate: c, key: k, bundle: b } }
  jwt: { algorithms: [ES384, RS256], ttl: 2d, rs256_audiences: [a, b] }
identities:
  - name: workloads
    spiffe_id: /ns/\${proof.namespace}/sa/\${proof.service_account}
    from: cluster
    when: proof.namespace in ['payments', 'web'] && proof.service_account != 'default'
    dns_names: ['\${proof.service_account}.\${proof.namespace}.svc']
    audiences: ['https://api.example.org', sts.amazonaws.com, '*']
    claims: { business_line: retail, pod: '\${proof.pod}', deep: { list: [1, true, null] } }
    x509_ttl: 8h
    jwt_ttl: 90s
    hint: internal
    renewable_for: 7d
    max_audiences: 2
  - { spiffe_id: /ci, from: github, when: "proof.subject == 'repo:x'" }
  - { spiffe_id: '/vm/\${proof.name}', from: first }
policies:
  - { name: inside, forbid: '*', when: "!in_cidr(request.address, '10.0.0.0/8')", reason: only from our networks }
  - { permit: [jwt_svid, exchange], when: "identity.path.startsWith('/ns/payments/')" }
  - { permit: exchange, to: [payments-s3, reports], when: "target.type == 'aws' && identity.path == '/ci'" }
  - { forbid: exchange, to: '*', when: "target.name == 'reports' && identity.trust_domain != 'example.org'" }
targets:
  payments-s3: { type: aws, role_arn: 'arn:aws:iam::123456789012:role/payments', region: eu-west-1 }
  reports:
    type: aws
    role_arn: arn:aws-us-gov:iam::123456789012:role/service/reports
    region: us-gov-west-1
    audience: reports
    session_name: '\${identity.rule}-\${target.name}'
    session_duration: 12h
    session_policy: { Version: '2012-10-17', Statement: [] }
    session_policy_arns: ['arn:aws:iam::aws:policy/ReadOnlyAccess']
    tags: { spiffe_id: '\${identity.spiffe_id}', team: a }
    transitive_tags: [team]
    source_identity: true
    algorithm: RS256
    endpoint: https://sts.internal.example:8443
    ca_file: ca.pem
    acts_as: /cloud/reports
    reuse: 0.5
  vault:
    type: azure
    tenant: 11111111-2222-3333-4444-555555555555
    client_id: 66666666-7777-8888-9999-000000000000
    scopes: [https://vault.azure.net/.default]
    audience: api://AzureADTokenExchangeUSGov
    authority_host: https://login.microsoftonline.us
    acts_as: spiffe://example.org/cloud/vault
  storage:
    type: gcp
    provider: //iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/pool/providers/apostille
    audience: https://storage.example
    scopes: [https://www.googleapis.com/auth/devstorage.read_only]
    service_account: reports@project.iam.gserviceaccount.com
    lifetime: 30m
    universe: googleapis.com
    token_url: https://sts.internal.example/v1/token
    impersonation_url: https://iamcredentials.internal.example
limits: { refusals: 10, per_identity: 600 }`
  expect(problemsOf(text)).toEqual([])
  const config = parseConfiguration(text)
  expect(config.rules.byDigest.size).toBe(3)
  expect(config.authorities.x509.ttlSeconds).toBe(86_400)
  expect(
    [...config.targets.values()].map(({ name, type, audience, actsAs }) => [name, type, audience, actsAs?.uri]),
  ).toEqual([
    ['payments-s3', 'aws', 'sts.amazonaws.com', undefined],
    ['reports', 'aws', 'reports', 'spiffe://example.org/cloud/reports'],
    ['vault', 'azure', 'api://AzureADTokenExchangeUSGov', 'spiffe://example.org/cloud/vault'],
    ['storage', 'gcp', 'https://storage.example', undefined],
  ])
  expect(config.warnings.map(({ path, message }) => `${path}: ${message}`)).toEqual([
    "policies[1]: a permit of exchange without `to` is for every target: name them, or write to: '*'",
  ])
  expect(config.authorities.jwt.rs256_audiences).toEqual([
    ...['a', 'b', 'reports', 'api://AzureADTokenExchangeUSGov', 'https://storage.example'],
    ...['https:', ''].map(
      (scheme) =>
        `${scheme}//iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/pool/providers/apostille`,
    ),
  ])
  expect(config.metrics?.listen).toEqual({ kind: 'tcp', host: '::', port: 9464 })
})

test('below an upstream authority the default lifetime is a day', () => {
  const upstream = 'authorities: { x509: { upstream: { certificate: c, key: k, bundle: b } } }'
  expect(parseConfiguration(withLine(upstream)).authorities.x509.ttlSeconds).toBe(86_400)
})

describe('text that is no document', () => {
  const missing = [
    '1:1 trust_domain: trust_domain is missing: add `trust_domain: example.org`',
    '1:1 issuer: issuer is missing: add `issuer: https://id.example.org`',
    '1:1 listen: listen is missing: add `listen: { address: 0.0.0.0:8443 }`',
    '1:1 store: store is missing: add `store: sqlite:./data/apostille.db`',
    '1:1 seal: seal is missing: add `seal: { file: ./data/seal.key }`',
  ]
  const noMap = ['1:1 : expected keys and their values, such as trust_domain: example.org']

  test.each<readonly [string, string, readonly (string | RegExp)[]]>([
    ['nothing', '', missing],
    ['a comment', '# nothing yet\n', missing.map((text) => text.replace('1:1', '1:1'))],
    ['a list', '- a', noMap],
    ['a text', 'just text', noMap],
    ['a number', '42', noMap],
    ['a key twice', `${base}\nissuer: https://other.example`, ['11:1 : this key stands here for the second time']],
    ['a key twice below', 'listen: { address: a, address: b }', ['1:23 : this key stands here for the second time']],
    ['a tab', 'listen:\n\taddress: a', [/^2:1 : a tab can not indent in YAML: write spaces/]],
    ['two documents', `${base}\n---\na: 1`, ['11:1 : a second document begins here: a configuration is one document']],
    ['an open quote', 'issuer: "https', ['1:15 : the text ends here, and a closing " is missing']],
    [
      'an expression in braces without quotes',
      'a: { b: /x/${proof.name} }',
      ['1:13 : within { } or [ ] a text that holds ${ stands in quotes'],
    ],
    ['an open brace', 'listen: { address: a', [/1:21 : /]],
    ['a number as key', `${base}\n1: a`, ['11:1 : a key is a text: put it into quotes']],
    ['null as key', `${base}\n~: a`, ['11:1 : a key is a text: put it into quotes']],
    ['true as key', `${base}\ntrue: a`, ['11:1 : a key is a text: put it into quotes']],
    ['a list as key', `${base}\n? [a]\n: b`, ['11:3 : a key is a text: put it into quotes']],
    ['a merge key', `${base}\n<<: { version: 1 }`, ['11:1 : merge keys are not taken here: write the keys out']],
    ['__proto__', `${base}\n__proto__: { version: 1 }`, ['11:1 : this is not taken as a key']],
    [
      'a tag of JavaScript',
      `${base}\nx: !!js/function 'x'`,
      [/^11:\d+ : tags are not taken here: write the value alone/],
    ],
    ['a tag of its own', `${base}\nx: !env NAME`, [/^11:\d+ : tags are not taken here/]],
    ['binary', `${base}\nx: !!binary aGk=`, [/^11:\d+ : tags are not taken here/]],
    ['a set', `${base}\nx: !!set {a, b}`, [/^11:\d+ : tags are not taken here/]],
    ['an alias of nothing', `${base}\nx: *nope`, ['11:4 : there is no anchor nope before this']],
    ['an anchor that holds itself', `${base}\nx: &a { b: *a }`, ['11:12 : a holds itself']],
    ['an anchor that holds itself further down', `${base}\nx: &a [1, { b: [*a] }]`, ['11:17 : a holds itself']],
    [
      'a bomb of anchors',
      `a: &a [x, x, x, x, x, x, x, x, x]\n${[...'bcdefghi'].map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`).join(', ')}]`).join('\n')}`,
      ['1:1 : aliases stand for more than 100000 values: write them out'],
    ],
    ['lists in lists', `a: ${'['.repeat(20_000)}`, [/nested too deeply/]],
    ['maps in maps', `${'{a: '.repeat(20_000)}`, [/nested too deeply/]],
  ])('%s', (_, text, expected) => {
    const problems = problemsOf(text)
    expect(problems.slice(0, expected.length)).toEqual(
      expected.map((one) => (typeof one === 'string' ? one : expect.stringMatching(one))),
    )
    expect(problems.length).toBeGreaterThan(0)
    expect(problems.length).toBeLessThanOrEqual(100)
  })

  test('anchors that stand for something are taken', () => {
    const text = withLine(
      'identities:\n  - &a { spiffe_id: /a, from: cluster }\n  - { spiffe_id: /b, from: cluster, claims: { of: &c [x] } }\n  - { spiffe_id: /c, from: cluster, claims: { of: *c } }',
    )
    expect(parseConfiguration(text).rules.byDigest.size).toBe(3)
  })

  test('whatever it is, the answer is a configuration or a list of mistakes', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab:{}[]&*!|>- \n\t"\'#~?%'), maxLength: 60 }), (text) => {
        expect(Array.isArray(problemsOf(text))).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

describe('keys', () => {
  test.each([
    ['trust_domian: x', '11:1 trust_domian: unknown key: did you mean trust_domain?'],
    ['Issuer: x', '11:1 Issuer: unknown key: did you mean issuer?'],
    ['authenticator: {}', '11:1 authenticator: unknown key: did you mean authenticators?'],
    ['policy: []', /^11:1 policy: unknown key: there are version, trust_domain, issuer, listen, /],
    ['secrets: {}', /^11:1 secrets: unknown key/],
    ['listen: { address: 127.0.0.1:8443, tsl: off }', '3:36 listen.tsl: unknown key: did you mean tls?'],
    ['admin: { lisen: unix:a }', '11:10 admin.lisen: unknown key: did you mean listen?'],
    ['authorities: { x509: { tll: 1d } }', '11:24 authorities.x509.tll: unknown key: did you mean ttl?'],
    [
      'authorities: { jwt: { algorithm: ES256 } }',
      '11:23 authorities.jwt.algorithm: unknown key: did you mean algorithms?',
    ],
    ['  first: { type: join_token, isuer: x }', '9:30 authenticators.first.isuer: unknown key: there are type'],
    [
      '  github: { type: oidc, issuer: https://g.example, audience: a, token_review: {} }',
      /^8:65 authenticators.github.token_review: unknown key: there are type, issuer/,
    ],
    [
      '  cluster: { type: kubernetes, isuer: https://k.example, issuer: https://k.example, audience: a }',
      '7:32 authenticators.cluster.isuer: unknown key: did you mean issuer?',
    ],
    [
      'identities: [{ spiffe_id: /a, from: cluster, wen: "true" }]',
      '11:46 identities[0].wen: unknown key: did you mean when?',
    ],
    [
      'policies: [{ permit: "*", to: payments }]',
      '11:31 policies[0].to: there is no target payments: add it to targets',
    ],
    ['limits: { refusal: 1 }', '11:11 limits.refusal: unknown key: did you mean refusals?'],
  ])('%s', (line, expected) => {
    expect(problemsOf(withLine(line))).toEqual([
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    ])
  })
})

describe('values', () => {
  test.each<readonly [string, string | RegExp]>([
    ['version: 2', '11:10 version: expected 1, the only version there is'],
    ["version: '1'", '11:10 version: expected 1, the only version there is'],
    [
      'trust_domain: Example.org',
      /^1:15 trust_domain: expected a trust domain name such as example.org, in lower case/,
    ],
    ['trust_domain: [a]', '1:15 trust_domain: expected a text'],
    ['trust_domain:', /^1:\d+ trust_domain: expected a text/],
    ['issuer: http://id.example.org', /^2:9 issuer: expected an https URL.*\(not an https URL\)/],
    ['issuer: https://id.example.org/?a=b', /^2:9 issuer: expected an https URL without query/],
    ['issuer: https://ID.example.org', /^2:9 issuer: .*canonical spelling/],
    ['issuer: https://user@id.example.org', /^2:9 issuer: /],
    [
      'issuer: https://id_1.example.org',
      /^2:9 issuer: the certificate of `tls: self`.*neither a DNS name nor an address: give the issuer one, or set listen\.tls to \{certificate: FILE, key: FILE\}/,
    ],
    ['issuer: https://id.example.org.', /^2:9 issuer: the certificate of `tls: self`/],
    ['listen: { address: 8443 }', '3:20 listen.address: expected a text'],
    [
      'listen: { address: localhost }',
      '3:20 listen.address: expected an address (neither host:port, [::1]:port nor unix:PATH)',
    ],
    ['listen: { address: "::1:8443" }', /^3:20 listen\.address: expected an address/],
    ['listen: { address: 127.0.0.1:65536 }', /^3:20 listen\.address: expected an address/],
    ['listen: { address: "unix:" }', /^3:20 listen\.address: expected an address/],
    ['listen: {}', '3:9 listen.address: address is missing: expected a text'],
    [
      'listen: { address: 127.0.0.1:1, tls: on }',
      '3:38 listen.tls: expected self, off, or {certificate: FILE, key: FILE}',
    ],
    [
      'listen: { address: 127.0.0.1:1, tls: { certificate: c } }',
      '3:38 listen.tls: expected self, off, or {certificate: FILE, key: FILE}',
    ],
    [
      'listen: { address: 0.0.0.0:1, tls: off }',
      /^3:36 listen\.tls: without TLS, proofs cross the network in the clear: listen on loopback or a unix socket, or name trusted_proxies/,
    ],
    ['listen: { address: "[::]:1", tls: off }', /^3:35 listen\.tls: without TLS/],
    ['listen: { address: id.example.org:1, tls: off }', /^3:43 listen\.tls: without TLS/],
    [
      'listen: { address: 0.0.0.0:1, trusted_proxies: { from: [10.0.0.1] } }',
      /^3:57 listen\.trusted_proxies\.from\[0\]: expected a network \(an address range is written with a prefix/,
    ],
    ['listen: { address: 0.0.0.0:1, trusted_proxies: { from: [10.0.0.1/8] } }', /^3:57 .*bits set beyond the prefix/],
    [
      'listen: { address: 0.0.0.0:1, trusted_proxies: { from: [] } }',
      '3:56 listen.trusted_proxies.from: expected a list of at least 1',
    ],
    [
      'listen: { address: 0.0.0.0:1, trusted_proxies: { from: [10.0.0.0/8], header: "a b" } }',
      /^3:78 .*expected the name of a header/,
    ],
    [
      'admin: { listen: 127.0.0.1:9000 }',
      '11:18 admin.listen: the admin API is served on a unix socket only: expected unix:PATH',
    ],
    ['admin: { console: 0.0.0.0:8445 }', /^11:19 admin.console: .*expected 127.0.0.1:PORT or \[::1\]:PORT/],
    ['admin: { console: unix:./console.sock }', /^11:19 admin.console: .*expected 127.0.0.1:PORT/],
    ['admin: { console: 127.0.0.1:8443 }', '11:19 admin.console: another listener has this address'],
    ['metrics: { listen: 127.0.0.1:8443 }', '11:20 metrics.listen: another listener has this address'],
    ['metrics: { listen: unix:./data/admin.sock }', '11:20 metrics.listen: another listener has this address'],
    ['listen: { address: unix:./data/admin.sock }', '1:1 admin.listen: another listener has this address'],
    ['store: ./a.db', '4:8 store: expected sqlite:PATH or postgres://USER@HOST/DATABASE'],
    ['store: "sqlite:"', '4:8 store: expected sqlite:PATH or postgres://USER@HOST/DATABASE'],
    ['store: postgres://u:p@db/d', /^4:8 store: a password is not written here/],
    ['seal: key', '5:7 seal: expected {file: PATH} or {env: NAME}'],
    ['seal: { file: a, env: B }', '5:7 seal: expected {file: PATH} or {env: NAME}'],
    ['seal: { env: "A-B" }', '5:14 seal.env: expected the name of a variable'],
    [
      'authorities: { x509: { algorithm: EdDSA } }',
      '11:35 authorities.x509.algorithm: expected one of ES256, ES384, RS256',
    ],
    [
      'authorities: { x509: { ttl: 179s } }',
      '11:29 authorities.x509.ttl: expected at least 180s, so that each third of it is a minute',
    ],
    [
      'authorities: { jwt: { ttl: 1s } }',
      '11:28 authorities.jwt.ttl: expected at least 180s, so that each third of it is a minute',
    ],
    ['authorities: { jwt: { algorithms: [] } }', '11:35 authorities.jwt.algorithms: expected a list of at least 1'],
    [
      'authorities: { jwt: { algorithms: [ES256] } }',
      '11:35 authorities.jwt.algorithms: RS256 is not listed, but rs256_audiences (api://AzureADTokenExchange) takes nothing else: list it, or set rs256_audiences: []',
    ],
    [
      'authorities: { jwt: { algorithms: [RS256, ES256, ES256] } }',
      '11:50 authorities.jwt.algorithms[2]: ES256 is listed twice',
    ],
    [
      'authorities: { x509: { upstream: { certificate: c, key: k } } }',
      '11:34 authorities.x509.upstream.bundle: bundle is missing: expected a text',
    ],
    ['limits: { refusals: -1 }', '11:21 limits.refusals: expected a number of at least 0'],
    ['limits: { refusals: 1.5 }', '11:21 limits.refusals: expected a whole number'],
    ['limits: { per_identity: 0 }', '11:25 limits.per_identity: expected a number of at least 1'],
    ['limits: { per_identity: many }', '11:25 limits.per_identity: expected a number'],
    ['identities: {}', '11:13 identities: expected a list'],
    ['policies: none', '11:11 policies: expected a list'],
    ['limits: []', '11:9 limits: expected keys and their values'],
  ])('%s', (line, expected) => {
    expect(problemsOf(withLine(line))).toEqual([
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    ])
  })

  test.each([
    'listen: { address: 0.0.0.0:8443, tls: { certificate: c.pem, key: k.pem } }',
    'listen: { address: 0.0.0.0:80, tls: off, trusted_proxies: { from: [10.0.0.0/8, "fd00::/8"] } }',
    'listen: { address: unix:./public.sock, tls: off }',
    'listen: { address: "[::1]:0", tls: off }',
    'listen: { address: localhost:8080, tls: off }',
    'metrics: { listen: 127.0.0.1:0 }',
    'authorities: { jwt: { algorithms: [ES256], rs256_audiences: [] } }',
    'authorities: { x509: { ttl: 3h } }',
    'seal: { env: SEAL_KEY }',
    'issuer: https://id.example.org/tenant/a',
    'issuer: https://localhost',
    'identities: []',
  ])('%s is taken', (line) => {
    expect(problemsOf(withLine(line))).toEqual([])
    expect(warningsOf(withLine(line))).toEqual([])
  })

  test('the host of an issuer may be an address where certificates come from files', () => {
    const text = withLine('issuer: https://192.0.2.1').replace('127.0.0.1:8443', '127.0.0.1:8443, tls: off')
    expect(problemsOf(text)).toEqual([])
  })

  test('an issuer with a port is warned of', () => {
    expect(warningsOf(withLine('issuer: https://id.example.org:8443'))).toEqual([
      '2:9 issuer: the issuer has a port: AWS and Google refuse such an issuer',
    ])
  })
})

describe('durations', () => {
  const withTtl = (ttl: string) => withLine(`authorities: { x509: { ttl: ${ttl} } }`)

  test.each([
    ['180s', 180],
    ['5m', 300],
    ['1h', 3600],
    ['7d', 604_800],
    ['3660d', 316_224_000],
  ])('%s is %i seconds', (text, seconds) => {
    const document = `${withTtl(text)}\nidentities: []`
    expect(parseConfiguration(document).authorities.x509.ttlSeconds).toBe(seconds)
  })

  test.each([
    '0s',
    '1.5h',
    '-1m',
    '5 m',
    '"5m "',
    '1h30m',
    '5',
    'm',
    '5w',
    '05m',
    '1H',
    '1e3s',
    '4000d',
    '99999999999s',
  ])('%s is none', (text) => {
    expect(problemsOf(withTtl(text))).toEqual([
      expect.stringMatching(
        /^11:29 authorities\.x509\.ttl: expected a (duration such as 90s, 5m, 1h or 7d(, of at most ten years)?|text)$/,
      ),
    ])
  })
})

describe('authenticators', () => {
  const withAuthenticator = (line: string) => `${base}\n  more: ${line}`

  test.each<readonly [string, string | RegExp]>([
    ['{ type: ldap }', '11:17 authenticators.more.type: expected one of oidc, kubernetes, join_token, spiffe, aws'],
    [
      '{ issuer: https://x.example }',
      '11:9 authenticators.more.type: type is missing: expected one of oidc, kubernetes, join_token, spiffe, aws',
    ],
    ['oidc', '11:9 authenticators.more: expected keys and their values'],
    [
      '{ type: oidc, issuer: https://x.example }',
      '11:9 authenticators.more.audience: audience is missing: expected a text',
    ],
    [
      '{ type: oidc, issuer: https://x.example, audience: "" }',
      '11:60 authenticators.more.audience: expected a text that is not empty',
    ],
    [
      '{ type: oidc, issuer: http://x.example, audience: a }',
      /^11:31 authenticators\.more\.issuer: expected an https URL/,
    ],
    [
      '{ type: oidc, issuer: https://id.example.org, audience: a }',
      /^11:31 authenticators\.more\.issuer: this is our own issuer: a token of ours must not give another one/,
    ],
    [
      '{ type: kubernetes, issuer: https://id.example.org/, audience: a }',
      /^11:37 authenticators\.more\.issuer: this is our own issuer/,
    ],
    [
      '{ type: oidc, issuer: https://x.example, audience: a, jwks_uri: "http://x.example" }',
      '11:73 authenticators.more.jwks_uri: expected an https URL',
    ],
    [
      '{ type: oidc, issuer: https://x.example, audience: a, jwks_uri: "https://x.example", jwks_file: f }',
      '11:105 authenticators.more.jwks_file: keys come from jwks_uri or from jwks_file, not from both: remove one',
    ],
    [
      '{ type: oidc, issuer: https://x.example, audience: a, private: maybe }',
      '11:72 authenticators.more.private: expected true or false',
    ],
    [
      '{ type: kubernetes, issuer: https://x.example, audience: a, token_review: { server: "https://x" } }',
      /token_review\.token_file: token_file is missing/,
    ],
    [
      '{ type: spiffe, trust_domain: example.org }',
      '11:39 authenticators.more.trust_domain: two authenticators take SVIDs of this trust domain',
    ],
    [
      '{ type: spiffe, trust_domain: other.example }',
      /^11:39 authenticators\.more\.trust_domain: there is no bundle for other\.example: /,
    ],
    ['{ type: spiffe, trust_domain: A }', /^11:39 authenticators\.more\.trust_domain: expected a trust domain name/],
  ])('%s', (line, expected) => {
    expect(problemsOf(withAuthenticator(line))).toEqual([
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    ])
  })

  test('a name is letters, digits, dots, dashes and underscores', () => {
    expect(problemsOf(`${base}\n  "a b": { type: join_token }`)).toEqual([
      '11:3 authenticators.a b: expected a name of letters, digits, dot, dash and underscore, at most 63',
    ])
  })
})

describe('rules and policies', () => {
  test.each<readonly [string, string | RegExp]>([
    ['identities: [{ from: cluster }]', '11:14 identities[0].spiffe_id: spiffe_id is missing: expected a text'],
    [
      'identities: [{ spiffe_id: /a, from: clustre }]',
      /^11:37 identities\[0\]\.from: there is no authenticator clustre: did you mean cluster\?/,
    ],
    ['identities: [{ spiffe_id: /a, from: ours }]', /^11:37 identities\[0\]\.from: ours takes SVIDs of our own/],
    ['identities: [{ spiffe_id: /apostille/x, from: cluster }]', /^11:27 identities\[0\]\.spiffe_id: reserved/],
    ['identities: [{ spiffe_id: a, from: cluster }]', /^11:27 identities\[0\]\.spiffe_id: a path starts with a slash/],
    [
      'identities: [{ spiffe_id: /a, from: cluster, dns_names: [id.example.org] }]',
      /^11:58 identities\[0\]\.dns_names\[0\]: /,
    ],
    [
      'identities: [{ spiffe_id: /a, from: cluster, dns_names: [127.0.0.1] }]',
      /^11:58 identities\[0\]\.dns_names\[0\]: /,
    ],
    [
      'identities: [{ spiffe_id: /a, from: github }]',
      /^11:14 identities\[0\]: the issuer of github may have the whole world/,
    ],
    [
      'identities: [{ spiffe_id: /a, from: cluster, when: proof.nmespace == "a" }]',
      /^11:58 identities\[0\]\.when: proof has no nmespace here: did you mean namespace\?$/,
    ],
    [
      'identities: [{ spiffe_id: /a, from: cluster, when: "true && proof.nmespace == \'a\'" }]',
      /^11:67 identities\[0\]\.when: /,
    ],
    [
      'identities: [{ spiffe_id: /a, from: cluster, when: \'true && proof.nmespace == "a"\' }]',
      /^11:67 identities\[0\]\.when: /,
    ],
    [
      "identities: [{ spiffe_id: /a, from: cluster, when: 'proof.namespace == ''a'' && nonsense' }]",
      /^11:52 identities\[0\]\.when: /,
    ],
    [
      'identities:\n  - spiffe_id: /a\n    from: cluster\n    when: |\n      true &&\n        proof.nmespace == "a"',
      /^16:\d+ identities\[0\]\.when: /,
    ],
    [
      'identities:\n  - spiffe_id: /a\n    from: cluster\n    when: >-\n      true &&\n      proof.nmespace == "a"',
      /^15:7 identities\[0\]\.when: /,
    ],
    ['identities: [{ spiffe_id: "/a/${proof.nmespace}", from: cluster }]', /^11:39 identities\[0\]\.spiffe_id: /],
    [
      'identities: [{ spiffe_id: /a, from: cluster, x509_ttl: 57h }]',
      '11:56 identities[0].x509_ttl: at most a third of authorities.x509.ttl, which is 56h: shorten this or lengthen that',
    ],
    [
      'identities: [{ spiffe_id: /a, from: cluster, jwt_ttl: 3d }]',
      '11:55 identities[0].jwt_ttl: at most a third of authorities.jwt.ttl, which is 56h: shorten this or lengthen that',
    ],
    [
      'authorities: { x509: { ttl: 1h } }\nidentities: [{ spiffe_id: /a, from: cluster }]',
      '12:14 identities[0].x509_ttl: at most a third of authorities.x509.ttl, which is 20m: shorten this or lengthen that',
    ],
    [
      'identities: [{ spiffe_id: /a, from: cluster, max_audiences: 17 }]',
      '11:61 identities[0].max_audiences: expected a number of at most 16',
    ],
    [
      'identities: [{ spiffe_id: /a, from: cluster, claims: { sub: x } }]',
      /^11:61 identities\[0\]\.claims\.sub: sub is set by the issuer/,
    ],
    [
      'identities: [{ name: n, spiffe_id: /a, from: cluster }, { name: n, spiffe_id: /b, from: cluster }]',
      /^11:65 identities\[1\]\.name: two rules are named n/,
    ],
    ['policies: [{ when: "true" }]', '11:12 policies[0]: a policy has either permit or forbid'],
    ['policies: [{ permit: read, forbid: write }]', '11:12 policies[0]: a policy has either permit or forbid'],
    [
      'policies: [{ permit: all }]',
      "11:22 policies[0].permit: expected one of x509_svid, jwt_svid, exchange, read, write, '*', or a list of them",
    ],
    ['policies: [{ permit: [] }]', /^11:22 policies\[0\]\.permit: expected a list of at least 1/],
    ['policies: [{ permit: read, when: identity.nme == "x" }]', /^11:43 policies\[0\]\.when: /],
    ['policies: [{ permit: read, when: identity.authenticator == "clustre" }]', /^11:\d+ policies\[0\]\.when: /],
  ])('%s', (line, expected) => {
    expect(problemsOf(withLine(line))).toEqual([
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    ])
  })

  test('a mistake in an expression is shown at the very place', () => {
    const text = withLine(
      'identities:\n  - spiffe_id: /a\n    from: cluster\n    when: |-\n      true &&\n        proof.nmespace == "a"',
    )
    const [problem = ''] = problemsOf(text)
    const [line, column] = (problem.split(' ')[0] ?? '').split(':').map(Number)
    expect(text.split('\n')[(line ?? 0) - 1]?.slice((column ?? 0) - 1)).toMatch(/^nmespace/)
  })
})

describe('a key that is misspelt is one mistake', () => {
  const rule = 'identities: [{ spiffe_ID: /a, from: cluster }]'

  test.each<readonly [string, string, readonly string[]]>([
    ['of a rule', withLine(rule), ['11:16 identities[0].spiffe_ID: unknown key: did you mean spiffe_id?']],
    [
      'of the document',
      base.replace(/^seal:/m, 'seel:'),
      [expect.stringMatching(/^\d+:1 seel: unknown key: did you mean seal\?$/)],
    ],
    [
      'beside one that is missing',
      withLine('identities: [{ spiffe_ID: /a }]'),
      ['11:14 identities[0].from: from is missing: expected a text', expect.stringContaining('spiffe_ID')],
    ],
  ])('%s', (_, text, problems) => {
    expect(problemsOf(text)).toEqual(problems)
  })
})

describe('all mistakes are found at once', () => {
  test('of keys, of values, of expressions and of what they mean to each other', () => {
    const text = `trust_domain: Example.org
issuer: https://id.example.org
listen: { address: 0.0.0.0:8443, tls: off }
store: sqlite:a.db
seel: { file: a }
authenticators:
  cluster: { type: kubernetes, issuer: https://k.example, audience: a }
  broken: { type: oidc, audience: a }
  self: { type: oidc, issuer: https://id.example.org, audience: a }
identities:
  - { spiffe_id: /a, from: cluster, when: 'proof.nope', x509_ttl: 99h }
  - { spiffe_id: /b, from: broken, when: proof.whatever == 'x' }
  - { spiffe_id: no slash, from: cluster, wen: 'true' }
  - { spiffe_id: /c, from: nobody }
policies:
  - { permit: nothing }
  - { forbid: '*', when: 'request.nope' }
limits: { refusals: -1 }`
    const places = problemsOf(text).map((problem) => problem.split(': ')[0])
    expect(places).toEqual([
      '1:15 trust_domain',
      '3:39 listen.tls',
      '5:1 seel',
      '8:11 authenticators.broken.issuer',
      '9:31 authenticators.self.issuer',
      '11:50 identities[0].when',
      '11:67 identities[0].x509_ttl',
      '13:18 identities[2].spiffe_id',
      '13:43 identities[2].wen',
      '14:28 identities[3].from',
      '16:15 policies[0].permit',
      '17:35 policies[1].when',
      '18:21 limits.refusals',
    ])
  })

  test('authenticators that are no map do not make every rule wrong', () => {
    const text = 'authenticators: []\nidentities: [{ spiffe_id: /a, from: cluster }]'
    expect(problemsOf([...lines.slice(0, 5), text].join('\n'))).toEqual([
      '6:17 authenticators: expected keys and their values',
    ])
  })

  test('tens of thousands of them', () => {
    const keys = Array.from({ length: 30_000 }, (_, index) => `key-${index}: 1`)
    const problems = problemsOf([base, ...keys].join('\n'))
    expect(problems).toHaveLength(30_000)
    expect(problems.at(-1)).toMatch(/^30010:1 key-29999: unknown key/)
  })

  test('names that thousands of rules and policies have wrong, where there are thousands of others', () => {
    const names = Array.from({ length: 5000 }, (_, index) => `authenticator-${index}`)
    const text = `authenticators: { ${names.map((name) => `${name}: { type: join_token }`).join(', ')} }
identities: [${names.map((name) => `{ spiffe_id: /${name}, from: ${name}-x }`).join(', ')}]
policies: [${names.map((name) => `{ permit: exchange, to: ${name} }`).join(', ')}]`
    const problems = problemsOf([...lines.slice(0, 5), text].join('\n'))
    expect(problems).toHaveLength(10_000)
    expect(problems[0]).toMatch(
      /there is no authenticator authenticator-0-x: the authenticators are authenticator-0, .*-19 and 4980 more$/,
    )
  })

  test.each([
    ['policies', "policies: [{ permit: exchange, to: [TIMES'x', 'x'] }]", /policies\[0\]\.to: there is no target x/],
    ['values', 'authorities: { jwt: { rs256_audiences: [TIMES1, 1] } }', /^1:1 : more is wrong here than can be told/],
    ['rules', 'identities: [{ from: cluster, spiffe_id: /a, audiences: [TIMES1, 1] }]', /^1:1 : more is wrong here/],
  ])('hundreds of thousands of them, of %s', (_, line, first) => {
    const [list = '', item] = /TIMES(\S+),/.exec(line) ?? []
    expect(problemsOf(withLine(line.replace(list, `${item}, `.repeat(200_000))))[0]).toMatch(first)
  })

  test('the error counts them', () => {
    expect(() => parseConfiguration(withLine('limits: { a: 1, b: 2 }'))).toThrow('the configuration has 2 errors')
    expect(() => parseConfiguration(withLine('limits: { a: 1 }'))).toThrow('the configuration has 1 error')
  })

  test('no message repeats a value that may be secret', () => {
    const text = withLine('seal: { file: [planted-secret] }').replace('example.org', 'planted-secret!')
    expect(problemsOf(text).join()).not.toContain('planted-secret')
  })
})
