/** What is printed is set up at clouds that check what real ones check: then exactly this target works. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { describeTrust, type TargetSetupError, type TrustReport } from '../../src/runtime/target-setup.node.ts'
import type { TrustPolicy } from '../support/clouds/aws-trust-policy.ts'
import type { FederatedCredential } from '../support/clouds/entra-directory.ts'
import type { GoogleProvider } from '../support/clouds/google-project.ts'
import {
  account,
  type CloudsWorld,
  clientId,
  issuer,
  openClouds,
  provider,
  roleArn,
  tenant,
} from '../support/clouds-world.ts'
import type { Document } from '../support/gateway.ts'
import { type HclBlockRead, type HclRead, readHcl } from '../support/hcl.ts'
import { type RanScript, runScript } from '../support/shell.ts'
import { send } from '../support/wire.ts'

const email = 'payments@shop.iam.gserviceaccount.com'
const longPath = `/ns/${'n'.repeat(61)}/sa/${'s'.repeat(60)}`
const pool = provider.replace(/\/providers\/.*/, '')

let world: CloudsWorld

function documentOf({ aws, azure, gcp }: CloudsWorld['targets']): Document {
  const impersonated = {
    ...gcp,
    service_account: email,
    impersonation_url: String(gcp['token_url']).replace('/v1/token', ''),
  }
  const each = (cloud: string, target: Document, other: Document = {}) => ({
    [cloud]: { ...target, acts_as: '/cloud/payments' },
    [`${cloud}.other`]: { ...target, ...other, acts_as: '/cloud/other' },
    [`${cloud}-callers`]: target,
  })
  return {
    authorities: { jwt: { algorithms: ['ES256', 'RS256'] } },
    targets: {
      ...each('aws', aws),
      ...each('azure', azure),
      ...each('gcp', impersonated),
      tagged: {
        ...aws,
        acts_as: '/cloud/payments',
        source_identity: true,
        tags: { team: 'payments', who: '${identity.path}' },
        session_duration: '2h',
      },
      untagged: { ...aws, acts_as: '/cloud/payments', tags: { team: 'others', who: '${identity.path}' } },
      // Google's subject has 127 bytes.
      'gcp-long': { ...impersonated, acts_as: longPath },
      'gcp-direct': { ...gcp, acts_as: '/cloud/payments', audience: 'an, audience^' },
    },
    policies: [
      {
        name: 'named',
        permit: 'exchange',
        to: ['aws-callers', 'azure-callers'],
        when: "identity.path in ['/ns/a', '/ns/b']",
      },
      { name: 'open', permit: 'exchange', to: 'gcp-callers', when: "identity.path.startsWith('/ns/')" },
    ],
  }
}

beforeAll(async () => {
  world = await openClouds({ document: documentOf })
})
afterAll(() => world.close())
beforeEach(() => {
  const { sts, entra, google } = world
  sts.state.providers.length = 0
  sts.state.roles.clear()
  entra.state.apps.splice(0, Number.POSITIVE_INFINITY, { tenant, clientId, federatedCredentials: [] })
  google.state.providers.clear()
  google.state.serviceAccounts.clear()
})

type Cloud = TrustReport['type']
// biome-ignore lint/suspicious/noExplicitAny: documents of clouds
type Loose = Readonly<Record<string, any>>

async function describeTarget(
  target: string,
  more: { as?: readonly string[]; managedIdentity?: boolean; keySet?: string } = {},
) {
  const type = /^(?:tagged|untagged)$/.test(target) ? 'aws' : (target.replace(/[-.].*/, '') as Cloud)
  const configFile = join(world.gateway.folder, 'apostille.yaml')
  return describeTrust({ configFile, type, target, as: [], managedIdentity: false, ...more })
}

async function tryExchange(target: string, spiffeId?: string) {
  const body = spiffeId === undefined ? {} : { spiffe_id: spiffeId }
  const answer = await world.gateway.admin(`/v1/targets/${target}/try`, 'POST', body)
  return answer.json() as Loose
}

const unwanted = (target: string) => async (spiffeId?: string) => {
  const { ok, error } = await tryExchange(target, spiffeId)
  return { ok, code: error?.code }
}

/** As whoever runs the printed commands. */
function run(report: TrustReport): RanScript {
  return runScript(report.script, ['aws', 'az', 'gcloud'])
}

describe('AWS', () => {
  function setUp(ran: RanScript): void {
    const [created, role] = ran.commands
    expect(ran.commands.map(({ args }) => args[1])).toEqual(['create-open-id-connect-provider', 'create-role'])
    world.sts.createOidcProvider({
      account,
      url: created?.flag('--url') ?? '',
      clientIds: [created?.flag('--client-id-list') ?? ''],
    })
    const file = role?.flag('--assume-role-policy-document')?.replace(/^file:\/\//, '') ?? ''
    const arn = `arn:aws:iam::${account}:role${role?.flag('--path') ?? '/'}${role?.flag('--role-name')}`
    const maxSessionSeconds = Number(role?.flag('--max-session-duration') ?? 3600)
    world.sts.state.roles.set(arn, { arn, maxSessionSeconds, trustPolicy: JSON.parse(ran.file(file)) as TrustPolicy })
  }

  test('the printed commands let the target in, and another identity with the same role not', async () => {
    const ran = run(await describeTarget('aws'))
    setUp(ran)
    ran.remove()
    expect(await tryExchange('aws')).toMatchObject({ ok: true, spiffe_id: 'spiffe://example.org/cloud/payments' })
    expect(await unwanted('aws.other')()).toEqual({ ok: false, code: 'AccessDenied' })
  })

  test('a target with tags, source identity and a long session works, and one with other tags does not', async () => {
    const report = await describeTarget('tagged')
    const ran = run(report)
    setUp(ran)
    ran.remove()
    expect(await tryExchange('tagged')).toMatchObject({ ok: true })
    expect(await unwanted('untagged')()).toEqual({ ok: false, code: 'AccessDenied' })
    expect(report.documents['role']).toMatchObject({
      trust_policy: {
        Statement: [
          {
            Action: ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession', 'sts:SetSourceIdentity'],
            Condition: { StringEquals: { 'aws:RequestTag/team': 'payments' } },
          },
        ],
      },
    })
  })

  test('only what the target has is allowed', async () => {
    const { documents } = await describeTarget('aws')
    const role = documents['role'] as Loose
    expect(role['trust_policy'].Statement[0].Action).toBe('sts:AssumeRoleWithWebIdentity')
  })

  test('callers that the policies name are let in, each', async () => {
    const ran = run(await describeTarget('aws-callers'))
    setUp(ran)
    ran.remove()
    for (const name of ['a', 'b'])
      expect(await tryExchange('aws-callers', `spiffe://example.org/ns/${name}`)).toMatchObject({ ok: true })
    expect(await unwanted('aws-callers')('spiffe://example.org/ns/c')).toEqual({ ok: false, code: 'AccessDenied' })
  })

  test('Terraform says the same', async () => {
    const { documents, terraform } = await describeTarget('tagged')
    const [oidc, role] = readHcl(terraform)
    expect(oidc?.labels).toEqual(['aws_iam_openid_connect_provider', 'apostille'])
    expect(oidc?.attributes).toEqual({ url: issuer, client_id_list: ['sts.amazonaws.com'] })
    expect(role?.attributes).toMatchObject({ name: 'payments', path: '/', max_session_duration: 7200 })
    const policy = JSON.parse(
      JSON.stringify(role?.attributes['assume_role_policy']).replace(
        '{"traversal":"aws_iam_openid_connect_provider.apostille.arn"}',
        JSON.stringify((documents['oidc_provider'] as Loose)['arn']),
      ),
    )
    expect(policy).toEqual({ call: 'jsonencode', argument: (documents['role'] as Loose)['trust_policy'] })
    expect((documents['role'] as Loose)['arn']).toBe(roleArn)
  })
})

describe('Azure', () => {
  test('the printed commands let the target in, and another identity with the same application not', async () => {
    const ran = run(await describeTarget('azure'))
    const [created] = ran.commands
    expect(created?.args.slice(0, 4)).toEqual(['ad', 'app', 'federated-credential', 'create'])
    const credential = JSON.parse(ran.file(created?.flag('--parameters')?.slice(1) ?? '')) as FederatedCredential
    ran.remove()
    await world.entra.addFederatedCredential(created?.flag('--id') ?? '', credential)
    expect(await tryExchange('azure')).toMatchObject({ ok: true, algorithm: 'RS256' })
    expect(await unwanted('azure.other')()).toEqual({ ok: false, code: 'AADSTS700213' })
  })

  test('a managed identity is found by its client id, and has a credential for each caller', async () => {
    const ran = run(await describeTarget('azure-callers', { managedIdentity: true }))
    const [name, group, ...created] = ran.commands
    ran.remove()
    for (const looked of [name, group]) expect(looked?.flag('--query')).toContain(`[?clientId=='${clientId}']`)
    for (const command of created) {
      expect(command.flag('--identity-name')).toBe('found')
      await world.entra.addFederatedCredential(clientId, {
        name: command.flag('--name') ?? '',
        issuer: command.flag('--issuer') ?? '',
        subject: command.flag('--subject') ?? '',
        audiences: [command.flag('--audiences') ?? ''],
      })
    }
    for (const path of ['a', 'b'])
      expect(await tryExchange('azure-callers', `spiffe://example.org/ns/${path}`)).toMatchObject({ ok: true })
  })

  test.each([
    [false, 'azuread_application_federated_identity_credential', 'audiences'],
    [true, 'azurerm_federated_identity_credential', 'audience'],
  ])('Terraform says the same (managed identity: %s)', async (managedIdentity, type, audience) => {
    const { documents, terraform } = await describeTarget('azure-callers', { managedIdentity })
    const found = readHcl(terraform).find(({ labels }) => labels[0] === type)
    const credentials = documents['federated_credentials'] as readonly FederatedCredential[]
    expect(found?.attributes).toMatchObject({
      for_each: Object.fromEntries(credentials.map(({ name, subject }) => [name, subject])),
      issuer,
      subject: { traversal: 'each.value' },
      [audience]: ['api://AzureADTokenExchange'],
    })
    expect(credentials).toHaveLength(2)
  })
})

describe('Google Cloud', () => {
  const setUpProvider = (providerDocument: Loose) =>
    world.google.createProvider(providerDocument['name'], providerDocument as unknown as GoogleProvider)

  function providerOf(ran: RanScript): Loose {
    const created = ran.commands.find(({ args }) => args.includes('create-oidc'))
    const mapping = (created?.flag('--attribute-mapping') ?? '').split(',').map((item) => item.split(/=(.*)/s))
    const audiences = created?.flag('--allowed-audiences')
    const keysFile = created?.flag('--jwk-json-path')
    return {
      name: `projects/${created?.flag('--project')}/locations/${created?.flag('--location')}/workloadIdentityPools/${created?.flag('--workload-identity-pool')}/providers/${created?.args[4]}`,
      attributeMapping: Object.fromEntries(mapping.map(([name = '', value]) => [name, value])),
      attributeCondition: created?.flag('--attribute-condition'),
      oidc: {
        issuerUri: created?.flag('--issuer-uri'),
        ...(audiences !== undefined && { allowedAudiences: readGcloudList(audiences) }),
        ...(keysFile !== undefined && { jwksJson: JSON.stringify(JSON.parse(ran.file(keysFile))) }),
      },
    }
  }

  /** As `gcloud topic escaping` says. */
  function readGcloudList(text: string): readonly string[] {
    const [, separator = ',', items = text] = /^\^([^^]+)\^(.*)$/s.exec(text) ?? []
    return items.split(separator)
  }

  function bindingsOf(ran: RanScript) {
    const bound = ran.commands.filter(({ args }) => args.includes('add-iam-policy-binding'))
    return bound.map((command) => ({ role: command.flag('--role') ?? '', members: [command.flag('--member') ?? ''] }))
  }

  test.each([
    ['gcp', 'spiffe://example.org/cloud/payments', { 'google.subject': 'assertion.sub' }, 'unauthorized_client'],
    [
      'gcp-long',
      `spiffe://example.org${longPath}`,
      {
        'google.subject': "assertion.sub.extract('spiffe://example.org/ns/{id}')",
        'attribute.spiffe_id': 'assertion.sub',
      },
      // It has no subject, which comes before the condition.
      'invalid_grant',
    ],
  ])('the printed commands let %s in, and another identity not', async (target, spiffeId, mapping, code) => {
    const report = await describeTarget(target)
    const ran = run(report)
    const created = providerOf(ran)
    world.google.state.serviceAccounts.set(email, { bindings: bindingsOf(ran) })
    ran.remove()
    expect(created).toEqual(report.documents['provider'])
    expect(created['attributeMapping']).toEqual(mapping)
    setUpProvider(created)
    expect(await tryExchange(target)).toMatchObject({ ok: true, spiffe_id: spiffeId })
    expect(await unwanted('gcp.other')()).toEqual({ ok: false, code })
  })

  test('callers are named one by one', async () => {
    const as = ['/ns/a', 'spiffe://example.org/ns/b', '/ns/a']
    const ran = run(await describeTarget('gcp-callers', { as }))
    setUpProvider(providerOf(ran))
    world.google.state.serviceAccounts.set(email, { bindings: bindingsOf(ran) })
    ran.remove()
    for (const path of ['a', 'b'])
      expect(await tryExchange('gcp-callers', `spiffe://example.org/ns/${path}`)).toMatchObject({ ok: true })
    expect(await unwanted('gcp-callers')('spiffe://example.org/ns/c')).toEqual({
      ok: false,
      code: 'unauthorized_client',
    })
  })

  test('an audience of its own is allowed, whatever it holds, and without a service account the roles are left to say', async () => {
    const report = await describeTarget('gcp-direct')
    const ran = run(report)
    expect(providerOf(ran)).toEqual(report.documents['provider'])
    setUpProvider(providerOf(ran))
    expect(bindingsOf(ran)).toEqual([])
    ran.remove()
    expect(report.script).toContain(
      `--member=principal://iam.googleapis.com/${pool}/subject/spiffe://example.org/cloud/payments`,
    )
    expect(await tryExchange('gcp-direct')).toMatchObject({ ok: true })
  })

  test('keys that are uploaded stand for the issuer, and their rotation is not forgotten', async () => {
    const served = await send(world.target, '/keys')
    const report = await describeTarget('gcp-direct', { keySet: served.text })
    const ran = run(report)
    expect(providerOf(ran)).toEqual(report.documents['provider'])
    const { jwksJson = '' } = providerOf(ran)['oidc']
    setUpProvider(providerOf(ran))
    ran.remove()
    expect(await tryExchange('gcp-direct')).toMatchObject({ ok: true })
    expect(report.script).toMatch(/^# gcloud .* update-oidc apostille .* --jwk-json-path=issuer-keys\.json$/m)

    const [oidc] = readHcl(report.terraform).flatMap(({ blocks }) => blocks)
    expect(oidc?.attributes['jwks_json']).toBe(jwksJson)
    // None of the keys that are there signs any more, once Google has others.
    const { keys } = JSON.parse(jwksJson)
    setUpProvider({
      ...(report.documents['provider'] as object),
      oidc: { issuerUri: issuer, jwksJson: JSON.stringify({ keys: [] }) },
    })
    expect(await unwanted('gcp-direct')()).toEqual({ ok: false, code: 'invalid_grant' })
    const others = JSON.stringify({ keys: keys.filter((key: Loose) => key['alg'] !== 'ES256') })
    const { warnings } = await describeTarget('gcp-direct', { keySet: others })
    expect(warnings).toMatchObject([{ severity: 'error', code: 'keys_without_algorithm' }, { code: 'provider_shared' }])
  })

  test('Terraform says the same', async () => {
    const { documents, terraform } = await describeTarget('gcp-long')
    const wanted = documents['provider'] as unknown as GoogleProvider
    const blocks = readHcl(terraform)
    const of = (type: string): HclBlockRead | undefined => blocks.find(({ labels }) => labels[0] === type)
    expect(of('google_iam_workload_identity_pool')?.attributes).toEqual({
      project: '123456789',
      workload_identity_pool_id: 'apostille',
    })
    const written = of('google_iam_workload_identity_pool_provider')
    expect(written?.attributes).toMatchObject({
      attribute_mapping: wanted.attributeMapping as HclRead,
      attribute_condition: wanted.attributeCondition,
    })
    expect(written?.blocks).toMatchObject([{ type: 'oidc', attributes: { issuer_uri: issuer } }])
    expect(of('google_service_account_iam_member')?.attributes).toMatchObject({
      for_each: { call: 'toset', argument: documents['principals'] },
      service_account_id: `projects/shop/serviceAccounts/${email}`,
      role: 'roles/iam.workloadIdentityUser',
    })
  })
})

const noKid = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
}

test.each<[string, string, { as?: readonly string[]; keySet?: string }, TargetSetupError['code']]>([
  ['no keys at all', 'gcp-direct', { keySet: '{"keys":[]}' }, 'keys_unusable'],
  ['keys that are no JSON', 'gcp-direct', { keySet: '<html>' }, 'keys_unusable'],
  ['a key without a name', 'gcp-direct', { keySet: JSON.stringify({ keys: [noKid] }) }, 'keys_unusable'],
  [
    'a private key',
    'gcp-direct',
    { keySet: JSON.stringify({ keys: [{ ...noKid, kid: 'a', d: 'AAAA' }] }) },
    'keys_unusable',
  ],
  ['a target that is not there', 'aws-none', {}, 'target_unknown'],
  ['a target of another cloud', 'gcp', {}, 'target_type'],
  ['callers that the policies leave open', 'gcp-callers', {}, 'subject_unknown'],
  ['a caller of a target that acts as one', 'aws', { as: ['/ns/a'] }, 'subject_fixed'],
  ['a caller of another trust domain', 'aws-callers', { as: ['spiffe://else.example/a'] }, 'subject_malformed'],
  ['a caller that is reserved', 'aws-callers', { as: ['/spire/server'] }, 'subject_malformed'],
  ['a caller that is no SPIFFE ID', 'aws-callers', { as: ['web'] }, 'subject_malformed'],
])('%s is refused', async (_, target, more, code) => {
  const type = code === 'target_type' ? 'aws' : undefined
  const configFile = join(world.gateway.folder, 'apostille.yaml')
  const asked = type
    ? describeTrust({ configFile, type, target, as: [], managedIdentity: false })
    : describeTarget(target, more)
  await expect(asked).rejects.toThrow(expect.objectContaining({ name: 'TargetSetupError', code }))
})

test('a sync acts where no policy permits anybody', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sync-setup-'))
  const configFile = join(folder, 'apostille.yaml')
  await writeFile(
    configFile,
    JSON.stringify({
      trust_domain: 'example.org',
      issuer: 'https://id.example.org',
      listen: { address: '127.0.0.1:8443' },
      store: 'sqlite:./apostille.db',
      seal: { file: './seal.key' },
      targets: { secrets: { type: 'aws', role_arn: roleArn, region: 'eu-west-1' } },
      destinations: { there: { type: 'aws-secrets-manager', target: 'secrets' } },
      syncs: { team: { paths: ['team/*'], destinations: ['there'] } },
    }),
  )
  const describe = (...as: string[]) =>
    describeTrust({ configFile, type: 'aws', target: 'secrets', as, managedIdentity: false })
  const team = 'spiffe://example.org/apostille/sync/team'
  expect((await describe()).subjects).toEqual([team])
  expect((await describe('/apostille/sync/team')).subjects).toEqual([team])
  await expect(describe('/apostille/sync/other')).rejects.toMatchObject({ code: 'subject_malformed' })
  await rm(folder, { recursive: true })
})

test('what is shared with another target is told', async () => {
  const codesOf = async (target: string) => (await describeTarget(target)).warnings.map(({ code }) => code)
  expect(await codesOf('aws')).toEqual(['role_shared'])
  expect(await codesOf('azure')).toEqual([])
  expect(await codesOf('gcp-long')).toEqual(['subject_long', 'provider_shared'])
})
