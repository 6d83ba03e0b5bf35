import { describe, expect, test } from 'vitest'
import { ConfigurationError, parseConfiguration } from '../../src/core/config.ts'

const head = [
  'trust_domain: example.org',
  'issuer: https://id.example.org',
  'listen: { address: 127.0.0.1:8443 }',
  'store: sqlite:./data/a.db',
  'seal: { file: ./data/seal.key }',
  'authenticators:',
]

/** @param authenticators Each `name: {…}`. */
function documentOf(authenticators: readonly string[], rule?: string): string {
  const rules = rule === undefined ? [] : ['identities:', `  - { from: cloud, spiffe_id: /cloud, ${rule} }`]
  return [...head, ...authenticators.map((one) => `  ${one}`), ...rules].join('\n')
}

/** `path: message` of each. */
function problemsOf(text: string): readonly string[] {
  try {
    parseConfiguration(text)
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.diagnostics.map(({ path, message }) => `${path}: ${message}`)
  }
}

const ours = "accounts: ['123456789012']"

test('has defaults for all of it', () => {
  const { authenticators } = parseConfiguration(documentOf(['cloud: { type: aws }']))
  expect(authenticators.get('cloud')).toEqual({ name: 'cloud', type: 'aws', partition: 'aws', private: false })
})

test('keeps what is written', () => {
  const text =
    'cloud: { type: aws, accounts: ["012345678901"], partition: aws-cn, regions: [cn-north-1], endpoint: "https://sts.internal:8443/", ca_file: ./ca.pem, private: true }'
  expect(parseConfiguration(documentOf([text])).authenticators.get('cloud')).toEqual({
    name: 'cloud',
    type: 'aws',
    accounts: ['012345678901'],
    partition: 'aws-cn',
    regions: ['cn-north-1'],
    endpoint: 'https://sts.internal:8443/',
    ca_file: './ca.pem',
    private: true,
  })
})

describe('an authenticator is refused with', () => {
  test.each<readonly [string, string, string]>([
    ['a number for an account', 'accounts: [123456789012]', 'accounts[0]: expected a text'],
    [
      'an account of 11 digits',
      'accounts: ["12345678901"]',
      'accounts[0]: expected an account ID: 12 digits, in quotes',
    ],
    ['no account', 'accounts: []', 'accounts: expected a list of at least 1'],
    ['another partition', 'partition: aws-iso', 'partition: expected one of aws, aws-cn, aws-us-gov'],
    [
      'a region of another partition',
      'regions: [eu-west-1, cn-north-1]',
      'regions[1]: expected a region of partition aws',
    ],
    ['a region that is none', 'regions: [eu]', 'regions[0]: expected a region of partition aws'],
    ['an endpoint of http', 'endpoint: "http://sts.internal"', 'endpoint: expected an https URL of a host'],
    ['an endpoint that is no URL', 'endpoint: "https://[sts"', 'endpoint: expected an https URL of a host'],
    ['an endpoint with a fragment', 'endpoint: "https://sts.internal#a"', 'endpoint: expected an https URL of a host'],
    [
      'an endpoint with a path',
      'endpoint: "https://sts.internal/a"',
      'endpoint: expected an https URL of a host, without a path',
    ],
    ['an endpoint with a query', 'endpoint: "https://sts.internal/?a"', 'endpoint: expected an https URL of a host'],
    [
      'an endpoint with a port that is the usual one',
      'endpoint: "https://sts.internal:443"',
      'endpoint: expected an https',
    ],
    ['an endpoint with a user', 'endpoint: "https://a@sts.internal"', 'endpoint: expected an https URL of a host'],
    ['a public endpoint', 'endpoint: "https://sts.eu-west-1.amazonaws.com"', 'endpoint: this is a public endpoint'],
    ['an issuer', 'issuer: https://x.example', 'issuer: unknown key'],
  ])('%s', (_, keys, problem) => {
    expect(problemsOf(documentOf([`cloud: { type: aws, ${keys} }`]))).toEqual([
      expect.stringContaining(`authenticators.cloud.${problem}`),
    ])
  })
})

describe('two authenticators', () => {
  test.each<readonly [string, string, string]>([
    ['of one partition, whatever their accounts', 'type: aws', `type: aws, ${ours}`],
    ['of one partition, whatever their regions', 'type: aws, regions: [eu-west-1]', 'type: aws, regions: [us-east-1]'],
    [
      'of one endpoint',
      'type: aws, endpoint: "https://sts.a/"',
      'type: aws, endpoint: "https://sts.a", partition: aws-cn',
    ],
  ])('%s are one too many', (_, one, other) => {
    expect(problemsOf(documentOf([`cloud: { ${one} }`, `more: { ${other} }`]))).toEqual([
      expect.stringMatching(/^authenticators\.more: cloud takes the same identities: one is enough/),
    ])
  })

  test.each<readonly [string, string, string]>([
    ['of two partitions', 'type: aws', 'type: aws, partition: aws-cn'],
    ['of two endpoints', 'type: aws, endpoint: "https://sts.a"', 'type: aws, endpoint: "https://sts.a:8443"'],
    ['of an endpoint and of none', 'type: aws', 'type: aws, endpoint: "https://sts.a"'],
  ])('%s stand beside each other', (_, one, other) => {
    expect(problemsOf(documentOf([`cloud: { ${one} }`, `more: { ${other} }`]))).toEqual([])
  })
})

describe('a rule from an authenticator without accounts', () => {
  const problemsOfRule = (when?: string) =>
    problemsOf(documentOf(['cloud: { type: aws }'], when === undefined ? 'hint: a' : `when: "${when}"`))

  test.each([
    [
      'no condition',
      undefined,
      'AWS may have the whole world as its users: set accounts of cloud, compare proof.account',
    ],
    ['a role that anybody can make', "proof.role == 'payments'", 'this holds for every user of AWS: set accounts'],
    ['a user that anybody can make', "proof.user == 'jo'", 'this holds for every user of AWS'],
    ['a session that anybody can choose', "proof.session == 'i-0123456789abcdef0'", 'this holds for every user of AWS'],
    ['the partition', "proof.partition == 'aws'", 'this holds for every user of AWS'],
    ['the request alone', "request.address == '::1'", 'this holds for every user of AWS'],
  ])('is refused with %s', (_, when, problem) => {
    expect(problemsOfRule(when)).toEqual([expect.stringContaining(problem)])
  })

  test.each([
    ['everybody, in so many words', 'true'],
    ['an account', "proof.account == '123456789012' && proof.role == 'payments'"],
    ['an ARN', "proof.arn.startsWith('arn:aws:sts::123456789012:assumed-role/payments/')"],
    ['a unique ID', "proof.user_id == 'AROAEXAMPLE0000000001'"],
  ])('is taken with %s', (_, when) => {
    expect(problemsOfRule(when)).toEqual([])
  })
})

test('a rule from one with accounts needs no condition, and its templates name attributes', () => {
  expect(problemsOf(documentOf([`cloud: { type: aws, ${ours} }`], 'hint: a'))).toEqual([])
  const claims = "claims: { account: '${proof.account}', role: '${proof.role}', session: '${proof.session}' }"
  expect(problemsOf(documentOf([`cloud: { type: aws, ${ours} }`], claims))).toEqual([])
})

describe('a value that can never be is told', () => {
  test.each([
    ["proof.account == '1234'", 'the accounts of the authenticator are 123456789012'],
    ["proof.account == '210987654321'", 'the accounts of the authenticator are 123456789012'],
    ["proof.arn == 'arn:aws-cn:iam::123456789012:user/jo'", 'it begins with arn:aws:'],
    ["proof.arn.startsWith('aws:')", 'it begins with arn:aws:'],
    ["proof.role == 'a/b'", 'such a name is letters, digits and'],
    ["has(proof.session) && proof.session.startsWith('i 0')", 'such a name is letters, digits and'],
    ["proof.user_id == 'AROAX:session'", 'a unique ID is upper-case letters and digits'],
    ["proof.partition == 'aws-cn'", 'the partitions are aws'],
    [
      "proof.instance == 'i-0'",
      'proof has no instance here: it has account, arn, partition, user_id, role, session, user',
    ],
  ])('%s', (when, why) => {
    expect(problemsOf(documentOf([`cloud: { type: aws, ${ours} }`], `when: "${when}"`))).toEqual([
      expect.stringContaining(why),
    ])
  })

  test('and one that can be is not', () => {
    const when =
      "proof.account == '123456789012' && proof.arn.startsWith('arn:') && glob(proof.session, 'i-*') && proof.role in ['a', 'b']"
    expect(problemsOf(documentOf([`cloud: { type: aws, ${ours} }`], `when: "${when}"`))).toEqual([])
  })
})
