import { Agent } from 'node:https'
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { formatAmzDate } from '../support/clouds/aws-caller-rules.ts'
import {
  type AwsSecretsManager,
  awsSecretsRuleNames,
  startAwsSecretsManager,
} from '../support/clouds/aws-secrets-manager.ts'
import { createAwsSecret, editAwsSecret } from '../support/clouds/aws-secrets-state.ts'
import { computeAwsSignature, readAwsSignature } from '../support/clouds/aws-signature.ts'
import { call } from '../support/clouds/cloud-client.ts'
import type { WireAnswer } from '../support/wire.ts'

const account = '123456789012'
const roleArn = `arn:aws:iam::${account}:role/sync`
const caller = {
  accessKeyId: 'ASIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'session/token+of=example',
  expiresAt: new Date(Date.now() + 3_600_000),
  arn: `arn:aws:sts::${account}:assumed-role/sync/one`,
  userId: 'AROAEXAMPLE:one',
  account,
  session: { roleArn, subject: 's', tags: {}, policyArns: [] },
}

let store: AwsSecretsManager
const keys = new Map<string, Omit<typeof caller, 'session'> & { readonly session: object }>()

beforeAll(async () => {
  store = await startAwsSecretsManager({ account, region: 'eu-west-1', sts: { accessKeys: keys as never } })
})
beforeEach(() => {
  keys.clear()
  keys.set(caller.accessKeyId, caller)
  store.calm()
  store.state.secrets.clear()
  store.state.policies.set(roleArn, [{ Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' }])
  editAwsSecret(store.state, 'there', 'value', new Date())
})
afterAll(() => store.close())

interface Change {
  readonly headers?: Readonly<Record<string, string>>
  readonly service?: string
  readonly secretAccessKey?: string
}

/** Signed as the library signs, unless it is said otherwise. */
function ask(operation: string, input: unknown, change: Change = {}): Promise<WireAnswer> {
  const body = typeof input === 'string' ? input : JSON.stringify(input)
  const date = formatAmzDate(new Date())
  const unsigned = {
    host: `localhost:${store.port}`,
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-date': date,
    'x-amz-security-token': caller.sessionToken,
    'x-amz-target': `secretsmanager.${operation}`,
    ...change.headers,
  }
  const names = Object.keys(unsigned)
    .filter((name) => name !== 'authorization')
    .sort()
  const scope = `${caller.accessKeyId}/${date.slice(0, 8)}/eu-west-1/${change.service ?? 'secretsmanager'}/aws4_request`
  const authorization = (signature: string) =>
    `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  const request = { method: 'POST', path: '/', search: '', body }
  const read = readAwsSignature({ ...request, headers: { ...unsigned, authorization: authorization('x') } })
  if (!read) throw new Error('unsigned')
  const secret = change.secretAccessKey ?? caller.secretAccessKey
  const signature = computeAwsSignature({ ...request, headers: unsigned }, read, secret)
  return call(store, {
    method: 'POST',
    text: body,
    headers: { authorization: authorization(signature), ...unsigned },
  })
}

const token = 'a'.repeat(32)
const tags = (...list: readonly (readonly [string, string])[]) => list.map(([Key, Value]) => ({ Key, Value }))
const many = (count: number) => tags(...Array.from({ length: count }, (_, n) => [`tag-${n}`, ''] as const))

type Prepare = () => void
const denied = 'AccessDeniedException'
const wrong = 'InvalidParameterException'
const notNow = 'InvalidRequestException'
const shape = 'ValidationException'

const deleteThere: Prepare = () => {
  const secret = store.state.secrets.get('there')
  if (secret) secret.deletion = { deletedAt: new Date(), goneAt: new Date(Date.now() + 86_400_000) }
}
const allowOnly =
  (Action: string, more: object = {}): Prepare =>
  () =>
    void store.state.policies.set(roleArn, [{ Effect: 'Allow', Action, Resource: '*', ...more }])

const cases: readonly (readonly [rule: string, code: string, operation: string, input: unknown, prepare?: Prepare])[] =
  [
    ['target', 'UnknownOperationException', 'RotateEverything', {}],
    ['body', 'SerializationException', 'ListSecrets', '[]'],
    ['name_length', shape, 'CreateSecret', { SecretString: 'x' }],
    ['name_length', shape, 'CreateSecret', { Name: 'n'.repeat(513), SecretString: 'x' }],
    ['name_characters', wrong, 'CreateSecret', { Name: 'a b', SecretString: 'x' }],
    ['secret_id', shape, 'DescribeSecret', {}],
    ['token_length', shape, 'CreateSecret', { Name: 'n', SecretString: 'x', ClientRequestToken: 'a'.repeat(31) }],
    [
      'token_length',
      shape,
      'PutSecretValue',
      { SecretId: 'there', SecretString: 'x', ClientRequestToken: 'a'.repeat(65) },
    ],
    ['value_once', wrong, 'PutSecretValue', { SecretId: 'there' }],
    ['value_once', wrong, 'CreateSecret', { Name: 'n', SecretString: 'x', SecretBinary: 'eA==' }],
    ['value_empty', shape, 'CreateSecret', { Name: 'n', SecretString: '' }],
    ['value_size', shape, 'CreateSecret', { Name: 'n', SecretString: 'é'.repeat(32_769) }],
    ['value_size', shape, 'CreateSecret', { Name: 'n', SecretBinary: Buffer.alloc(65_537).toString('base64') }],
    ['tag_count', 'LimitExceededException', 'CreateSecret', { Name: 'n', SecretString: 'x', Tags: many(51) }],
    ['tag_key', wrong, 'TagResource', { SecretId: 'there', Tags: tags(['aws:x', '']) }],
    ['tag_key', wrong, 'TagResource', { SecretId: 'there', Tags: tags(['k'.repeat(129), '']) }],
    ['tag_value', wrong, 'TagResource', { SecretId: 'there', Tags: tags(['k', 'v'.repeat(257)]) }],
    ['tag_value', wrong, 'TagResource', { SecretId: 'there', Tags: tags(['k', 'a,b']) }],
    ['tag_unique', wrong, 'TagResource', { SecretId: 'there', Tags: tags(['k', '1'], ['k', '2']) }],
    ['recovery_window', wrong, 'DeleteSecret', { SecretId: 'there', RecoveryWindowInDays: 6 }],
    ['recovery_window', wrong, 'DeleteSecret', { SecretId: 'there', RecoveryWindowInDays: 31 }],
    [
      'recovery_window_or_force',
      wrong,
      'DeleteSecret',
      { SecretId: 'there', RecoveryWindowInDays: 7, ForceDeleteWithoutRecovery: true },
    ],
    ['page_size', shape, 'ListSecrets', { MaxResults: 101 }],
    ['page_token', 'InvalidNextTokenException', 'ListSecrets', { NextToken: 'x' }],
    ['permission', denied, 'ListSecrets', {}, () => store.state.policies.clear()],
    ['permission', denied, 'GetSecretValue', { SecretId: 'there' }, allowOnly('secretsmanager:Describe*')],
    [
      'permission',
      denied,
      'PutSecretValue',
      { SecretId: 'there', SecretString: 'x' },
      allowOnly('secretsmanager:*', { Condition: { StringEquals: { 'secretsmanager:ResourceTag/owner': 'us' } } }),
    ],
    [
      'permission',
      denied,
      'PutSecretValue',
      { SecretId: 'there', SecretString: 'x' },
      () => {
        const Resource = `arn:aws:secretsmanager:eu-west-1:${account}:secret:payments/*`
        const policy = JSON.stringify({ Statement: { Effect: 'Allow', Action: 'secretsmanager:*', Resource } })
        keys.set(caller.accessKeyId, { ...caller, session: { ...caller.session, policy } })
      },
    ],
    [
      'permission',
      denied,
      'DescribeSecret',
      { SecretId: 'there' },
      () =>
        void store.state.policies.set(roleArn, [
          { Effect: 'Allow', Action: '*', Resource: '*' },
          { Effect: 'Deny', Action: '*', Resource: '*' },
        ]),
    ],
    [
      'permission_to_tag',
      denied,
      'CreateSecret',
      { Name: 'n', SecretString: 'x', Tags: tags(['k', 'v']) },
      allowOnly('secretsmanager:CreateSecret'),
    ],
    ['kms_key', denied, 'CreateSecret', { Name: 'n', SecretString: 'x', KmsKeyId: 'alias/none' }],
    ['create_deleted', notNow, 'CreateSecret', { Name: 'there', SecretString: 'x' }, deleteThere],
    ['create_exists', 'ResourceExistsException', 'CreateSecret', { Name: 'there', SecretString: 'x' }],
    ['secret_exists', 'ResourceNotFoundException', 'DescribeSecret', { SecretId: 'elsewhere' }],
    ['secret_deleted', notNow, 'PutSecretValue', { SecretId: 'there', SecretString: 'x' }, deleteThere],
    [
      'replica_read_only',
      notNow,
      'PutSecretValue',
      { SecretId: 'there', SecretString: 'x' },
      () => void Object.assign(store.state.secrets.get('there') ?? {}, { primaryRegion: 'us-east-1' }),
    ],
    [
      'delete_replicated',
      notNow,
      'DeleteSecret',
      { SecretId: 'there' },
      () => void store.state.secrets.get('there')?.replicas.set('us-east-1', {}),
    ],
    [
      'token_other_value',
      'ResourceExistsException',
      'PutSecretValue',
      { SecretId: 'there', SecretString: 'y', ClientRequestToken: token },
      () =>
        void store.state.secrets
          .get('there')
          ?.versions.set(token, { id: token, text: 'x', createdAt: new Date(), stages: new Set() }),
    ],
    [
      'version_quota',
      'LimitExceededException',
      'PutSecretValue',
      { SecretId: 'there', SecretString: 'y' },
      () => {
        for (let n = 0; n < 100; n++) editAwsSecret(store.state, 'there', `value ${n}`, new Date())
      },
    ],
    [
      'value_exists',
      'ResourceNotFoundException',
      'GetSecretValue',
      { SecretId: 'empty' },
      () => void createAwsSecret(store.state, 'empty', new Date()),
    ],
  ]

test.each(cases.map((one) => [one[0], one[1], one] as const))('breaks %s: %s', async (rule, code, one) => {
  const [, , operation, input, prepare] = one
  prepare?.()
  const answer = await ask(operation, input)
  expect({ rule: store.requests[0]?.refusedBy, code: answer.json()['__type'] }).toEqual({ rule, code })
  expect(answer.status).toBe(400)
})

test('every rule is broken by a case, and none is named twice', () => {
  expect(new Set(cases.map(([rule]) => rule))).toEqual(new Set(awsSecretsRuleNames))
  expect(new Set(awsSecretsRuleNames).size).toBe(awsSecretsRuleNames.length)
})

test.each<[string, string, string, Change]>([
  ['another key', 'caller_signature', 'InvalidSignatureException', { secretAccessKey: 'another' }],
  ['another service', 'caller_scope_service', 'InvalidSignatureException', { service: 'sts' }],
  ['no session', 'caller_session_token', 'UnrecognizedClientException', { headers: { 'x-amz-security-token': 'x' } }],
])('takes nothing signed with %s', async (_, rule, code, change) => {
  const answer = await ask('ListSecrets', {}, change)
  expect({ rule: store.requests[0]?.refusedBy, code: answer.json()['__type'] }).toEqual({ rule, code })
})

test('takes no session that is over, and no request without a signature', async () => {
  keys.set(caller.accessKeyId, { ...caller, expiresAt: new Date(0) })
  expect((await ask('ListSecrets', {})).json()).toMatchObject({ __type: 'ExpiredTokenException' })
  const unsigned = await call(store, { json: {} })
  expect(unsigned.json()).toMatchObject({ __type: 'MissingAuthenticationTokenException' })
})

/** The vendor's client as it is. */
async function withClient<T>(use: (client: SecretsManagerClient) => Promise<T>): Promise<T> {
  const httpsAgent = new Agent({ ca: store.ca })
  const client = new SecretsManagerClient({
    region: 'eu-west-1',
    endpoint: store.url,
    credentials: caller,
    requestHandler: { httpsAgent },
    maxAttempts: 1,
  })
  try {
    return await use(client)
  } finally {
    client.destroy()
    httpsAgent.destroy()
  }
}

test('the vendor’s client creates, changes, lists, deletes and restores', async () => {
  await withClient(async (client) => {
    const made = await client.send(
      new CreateSecretCommand({ Name: 'db', SecretString: 'one', Tags: [{ Key: 'team', Value: 'payments' }] }),
    )
    expect(made.ARN).toMatch(/:secret:db-\w{6}$/)
    const put = await client.send(
      new PutSecretValueCommand({ SecretId: 'db', SecretString: 'two', ClientRequestToken: token }),
    )
    expect(put).toMatchObject({ VersionId: token, VersionStages: ['AWSCURRENT'] })
    expect(await client.send(new GetSecretValueCommand({ SecretId: made.ARN }))).toMatchObject({ SecretString: 'two' })
    const before = new GetSecretValueCommand({ SecretId: 'db', VersionStage: 'AWSPREVIOUS' })
    expect(await client.send(before)).toMatchObject({ SecretString: 'one', VersionId: made.VersionId })
    const { SecretList } = await client.send(new ListSecretsCommand({}))
    expect(SecretList?.map(({ Name }) => Name)).toEqual(['db', 'there'])
    expect(SecretList?.[0]).toMatchObject({
      Tags: [{ Key: 'team', Value: 'payments' }],
      SecretVersionsToStages: { [token]: ['AWSCURRENT'] },
    })

    const gone = await client.send(new DeleteSecretCommand({ SecretId: 'db', RecoveryWindowInDays: 7 }))
    expect(gone.DeletionDate).toBeInstanceOf(Date)
    expect((await client.send(new DescribeSecretCommand({ SecretId: 'db' }))).DeletedDate).toBeInstanceOf(Date)
    const again = new CreateSecretCommand({ Name: 'db', SecretString: 'x' })
    await expect(client.send(again)).rejects.toMatchObject({ name: 'InvalidRequestException' })
    await client.send(new RestoreSecretCommand({ SecretId: 'db' }))
    expect(await client.send(new GetSecretValueCommand({ SecretId: 'db' }))).toMatchObject({ SecretString: 'two' })
  })
})

test('a token that was used is passed over, and moves no label', async () => {
  await withClient(async (client) => {
    const put = (SecretString: string, ClientRequestToken: string) =>
      client.send(new PutSecretValueCommand({ SecretId: 'there', SecretString, ClientRequestToken }))
    await put('one', token)
    await put('two', 'b'.repeat(32))
    expect(await put('one', token)).toMatchObject({ VersionStages: ['AWSPREVIOUS'] })
    expect(await client.send(new GetSecretValueCommand({ SecretId: 'there' }))).toMatchObject({ SecretString: 'two' })
  })
})
