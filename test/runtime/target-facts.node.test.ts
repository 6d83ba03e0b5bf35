import { expect, test } from 'vitest'
import { readTargetFacts } from '../../src/runtime/target-facts.node.ts'
import { makeFolder } from '../cli/run-cli.ts'

const provider = 'projects/1/locations/global/workloadIdentityPools/pool/providers/apostille'
const clientId = '11111111-2222-3333-4444-555555555555'
const document = (targets: object) =>
  JSON.stringify({
    trust_domain: 'example.org',
    issuer: 'https://id.example.org',
    listen: { address: '127.0.0.1:0' },
    store: 'sqlite:./apostille.db',
    seal: { file: './seal.key' },
    authenticators: { first: { type: 'join_token' } },
    identities: [{ spiffe_id: '/vm/${proof.name}', from: 'first' }],
    targets,
    policies: [{ permit: 'exchange', to: 'it', when: 'true' }],
  })

async function factsOf(target: object, name = 'it') {
  using folder = makeFolder()
  return await readTargetFacts(folder.write('apostille.yaml', document({ it: target })), name)
}

test.each([
  ['aws', { type: 'aws', role_arn: 'arn:aws:iam::123456789012:role/payments', region: 'eu-west-1' }, { type: 'aws' }],
  [
    'azure',
    { type: 'azure', tenant: 'shop.example', client_id: clientId },
    {
      type: 'azure',
      tenant: 'shop.example',
      clientId,
      authorityHost: 'https://login.microsoftonline.com',
      audience: 'api://AzureADTokenExchange',
    },
  ],
  [
    'gcp',
    { type: 'gcp', provider },
    { type: 'gcp', provider, universe: 'googleapis.com', audience: `https://iam.googleapis.com/${provider}` },
  ],
  [
    'gcp in full',
    {
      type: 'gcp',
      provider: `//iam.googleapis.com/${provider}`,
      universe: 'example.org',
      audience: 'mine',
      service_account: 'a@b.iam.gserviceaccount.com',
      lifetime: '30m',
      token_url: 'https://sts.example.org/t',
      impersonation_url: 'https://iam.example.org',
    },
    {
      type: 'gcp',
      provider,
      universe: 'example.org',
      audience: 'mine',
      serviceAccount: 'a@b.iam.gserviceaccount.com',
      lifetimeSeconds: 1800,
      tokenUrl: 'https://sts.example.org/t',
      impersonationUrl: 'https://iam.example.org',
    },
  ],
])('what the configuration says of a target of %s', async (_, target, facts) => {
  expect(await factsOf(target)).toEqual(facts)
})

test('a target that is not there is told with those that are', async () => {
  expect(await factsOf({ type: 'gcp', provider }, 'other')).toEqual({
    problem: expect.stringContaining("has no target 'other'"),
    targets: ['it'],
  })
})

test('a document that can not be used is told', async () => {
  expect(await readTargetFacts('/nowhere.yaml', 'it')).toEqual({ problem: expect.stringContaining('/nowhere.yaml') })
  expect(await factsOf({ type: 'gcp' })).toEqual({ problem: expect.stringContaining('has mistakes') })
})
