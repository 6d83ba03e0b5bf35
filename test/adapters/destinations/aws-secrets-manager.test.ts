import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { awsEndpoint } from '../../../src/adapters/aws-endpoint.ts'
import type { SecretDestination } from '../../../src/core/secret-destination.ts'
import { destinationContract } from '../../contracts/secret-destination.ts'
import { startAwsStore } from '../../support/aws-store-world.ts'
import { editAwsSecret, versionAt } from '../../support/clouds/aws-secrets-state.ts'
import { failureOf, listAll, owner, pushOf, turnOf } from '../../support/destination-world.ts'
import type { Members } from '../../support/exchanger.ts'

destinationContract({
  type: 'aws-secrets-manager',
  start: startAwsStore,
  listsEdits: true,
  createsAlone: true,
  recovers: true,
  pageSize: 100,
  tagged: { tags: { team: 'payments' } },
  badNames: ['', 'with space', 'ümlaut', 'x'.repeat(513), 'quote"'],
  tellsPause: false,
  refuse: (message) => ({ status: 400, body: JSON.stringify({ __type: 'InvalidParameterException', message }) }),
})

test.each(['eu-west-1', 'us-gov-west-1', 'cn-north-1', 'eusc-de-east-1', 'us-iso-east-1', 'us-isob-east-1'])(
  'the endpoint of %s is the one that the library knows',
  (Region) => {
    const { config } = new SecretsManagerClient({ region: Region })
    const { url } = config.endpointProvider({ Region, UseFIPS: false, UseDualStack: false })
    expect(`${awsEndpoint('secretsmanager', Region)}/`).toBe(url.href)
  },
)

describe('at AWS', () => {
  let there: Awaited<ReturnType<typeof startAwsStore>>

  beforeAll(async () => {
    there = await startAwsStore()
  })
  beforeEach(() => there.reset())
  afterAll(() => there.close())

  const write = (name: string, value: string, document: Members = {}, changes = {}) =>
    there.open(document).write(pushOf(name, value, changes), turnOf())
  const secret = (name = 'db') => {
    const found = there.state.secrets.get(name)
    if (!found) throw new Error('no secret')
    return found
  }
  const operations = () => there.store.requests.map(({ headers }) => headers['x-amz-target']?.split('.')[1])

  test('names may be paths', async () => {
    const { id } = await write('prod/payments+db@1/password', 's3cret')
    expect(id).toMatch(/^arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod\/payments\+db@1\/password-\w{6}$/)
  })

  test('creating is two calls, changing three', async () => {
    await write('db', 'one')
    expect(operations()).toEqual(['DescribeSecret', 'CreateSecret'])
    there.store.calm()
    await write('db', 'two')
    expect(operations()).toEqual(['DescribeSecret', 'PutSecretValue', 'TagResource'])
  })

  test('a version has the token of its write for its id', async () => {
    const push = pushOf('db', 'one')
    expect((await write('db', 'one')).version).toBe(push.token(''))
    const first = push.token('')
    expect((await write('db', 'two')).version).toBe(pushOf('db', 'two').token(first))
    expect(versionAt(secret(), 'AWSCURRENT')?.id).toBe(pushOf('db', 'two').token(first))
  })

  test('the region is the target’s where the destination has none', async () => {
    expect((await write('db', 'one', { region: undefined })).outcome).toBe('created')
  })

  describe('a secret that is scheduled for deletion', () => {
    async function removed(document: Members = {}): Promise<SecretDestination> {
      const destination = there.open(document)
      await destination.write(pushOf('db', 'one'), turnOf())
      await destination.remove('db', owner, turnOf())
      there.store.calm()
      return destination
    }

    test.each([
      ['wait', 3600],
      ['fail', undefined],
    ])('stays so where the policy is to %s', async (policy, retryAfterSeconds) => {
      const destination = await removed({ on_scheduled_deletion: policy })
      const failure = await failureOf(destination.write(pushOf('db', 'two'), turnOf()))
      expect(failure).toMatchObject({ kind: 'blocked_deleted', code: 'scheduled_for_deletion', retryAfterSeconds })
      expect(failure.message).toContain('on_scheduled_deletion')
      expect(operations()).toEqual(['DescribeSecret'])
    })

    test('has the time that the destination says, and the name is free after it', async () => {
      await removed({ recovery_window: '7d' })
      const days = (Number(secret().deletion?.goneAt) - Number(secret().deletion?.deletedAt)) / 86_400_000
      expect(days).toBe(7)
      there.state.secrets.clear()
      expect((await write('db', 'two', { on_scheduled_deletion: 'fail' })).outcome).toBe('created')
    })

    test('is not deleted again, which would shorten its time', async () => {
      const destination = await removed()
      expect(await destination.remove('db', owner, turnOf())).toMatchObject({ outcome: 'absent' })
      expect(operations()).toEqual(['DescribeSecret'])
    })
  })

  describe('KMS key and replicas', () => {
    const settings = { kms_key: 'alias/sync', replica_regions: { 'us-east-1': 'alias/other', 'eu-central-1': null } }
    const allow = () => ['alias/sync', 'alias/other'].map((key) => there.state.kmsKeys.add(key))

    test('are those of a new secret', async () => {
      allow()
      await write('db', 'one', settings)
      expect(secret().kmsKeyId).toBe('alias/sync')
      expect([...secret().replicas]).toEqual([
        ['us-east-1', { kmsKeyId: 'alias/other' }],
        ['eu-central-1', {}],
      ])
    })

    test('are changed at one that is there, without a version', async () => {
      allow()
      await write('db', 'one')
      expect((await write('db', 'one', settings)).outcome).toBe('marked')
      expect([secret().kmsKeyId, secret().replicas.size, secret().versions.size]).toEqual(['alias/sync', 2, 1])
      expect((await write('db', 'one', settings)).outcome).toBe('unchanged')
    })

    test.each(['arn:aws:kms:eu-west-1:123456789012:key/0123', 'arn:aws:kms:eu-west-1:123456789012:alias/sync'])(
      'the key %s is the same by a shorter name',
      async (arn) => {
        await write('db', 'one')
        secret().kmsKeyId = arn
        const short = arn.replace(/^.*:(?:key\/)?/, '')
        expect((await write('db', 'one', { kms_key: short })).outcome).toBe('unchanged')
      },
    )

    test('replicas go before the secret does', async () => {
      allow()
      await write('db', 'one', settings)
      const removed = await there.open(settings).remove('db', owner, turnOf())
      expect(removed.outcome).toBe('removed')
      expect(operations().slice(-2)).toEqual(['RemoveRegionsFromReplication', 'DeleteSecret'])
    })

    test('a key that may not be used is told', async () => {
      const failure = await failureOf(write('db', 'one', settings))
      expect(failure).toMatchObject({ kind: 'forbidden', fix: expect.stringContaining('kms:GenerateDataKey') })
    })
  })

  test('a replica is not written to', async () => {
    await write('db', 'one')
    secret().primaryRegion = 'us-east-1'
    const failure = await failureOf(write('db', 'two'))
    expect([failure.kind, failure.code, failure.message]).toEqual([
      'refused',
      'replica',
      expect.stringContaining('us-east-1'),
    ])
  })

  test('what a service of AWS manages is never adopted', async () => {
    editAwsSecret(there.state, 'rds!db', 'x', new Date())
    editAwsSecret(there.state, 'managed', 'x', new Date())
    secret('managed').owningService = 'rds'
    expect(await listAll(there.open())).toContainEqual(
      expect.objectContaining({ name: 'managed', stamp: expect.objectContaining({ owner: 'aws:rds' }) }),
    )
    const failure = await failureOf(write('managed', 'one', {}, { adopts: true }))
    expect([failure.kind, failure.message]).toEqual(['conflict', expect.stringContaining('aws:rds')])
  })

  test('a write that was cut off before its stamp is shown as such', async () => {
    await write('db', 'one')
    const tags = () =>
      there.store.inject({ kind: 'reset' }, 3, ({ headers }) => /TagResource/.test(headers['x-amz-target'] ?? ''))
    tags()
    await failureOf(write('db', 'two'))
    expect(await listAll(there.open())).toMatchObject([{ name: 'db', state: 'empty', stamp: { owner } }])
    there.store.calm()
    expect((await write('db', 'two')).outcome).toBe('marked')
  })

  test('a value of an older version is current again when somebody moves the label back', async () => {
    await write('db', 'one')
    editAwsSecret(there.state, 'db', 'by hand', new Date())
    const [ours, theirs] = secret().versions.values()
    theirs?.stages.delete('AWSCURRENT')
    ours?.stages.add('AWSCURRENT')
    expect(await listAll(there.open())).toMatchObject([{ state: 'whole' }])
  })

  test('what another adopted just after us is left to it, with its value', async () => {
    there.edit('db', 'precious')
    const other = 'two/there/deployment-a'
    // Between our claim and the look at whether it held.
    there.store.inject(
      { kind: 'overtaken', act: () => there.setTag('db', 'apostille-owner', other) },
      1,
      () => operations().includes('TagResource') && operations().at(-1) === 'DescribeSecret',
    )
    const failure = await failureOf(write('db', 'ours', {}, { adopts: true }))
    expect(failure).toMatchObject({ kind: 'conflict', code: 'owned_by_other' })
    expect([there.read('db'), there.tags('db')['apostille-owner']]).toEqual(['precious', other])
  })

  test('a secret that changes too often is told, and holds up no other', async () => {
    for (let n = 0; n < 100; n++) editAwsSecret(there.state, 'db', `value ${n}`, new Date())
    const failure = await failureOf(write('db', 'one', {}, { adopts: true }))
    expect([failure.kind, failure.code]).toEqual(['refused', 'LimitExceededException'])
    expect(failure.fix).toContain('changes too often')
  })

  test('more tags than AWS takes are told', async () => {
    const tags = Object.fromEntries(Array.from({ length: 47 }, (_, n) => [`tag-${n}`, 'x']))
    expect(await failureOf(write('db', 'one', { tags }))).toMatchObject({ kind: 'refused' })
  })

  test('a condition on the owner in the role’s policy keeps other syncs out, and us not', async () => {
    const [roleArn = ''] = there.state.policies.keys()
    const Condition = { StringEqualsIfExists: { 'secretsmanager:ResourceTag/apostille-owner': owner } }
    there.state.policies.set(roleArn, [{ Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*', Condition }])
    await write('db', 'one')
    expect((await write('db', 'two')).outcome).toBe('updated')
    secret().tags.set('apostille-owner', 'another')
    expect((await failureOf(write('db', 'three'))).kind).toBe('forbidden')
  })

  test('a session policy that is too narrow is named', async () => {
    const [roleArn = ''] = there.state.policies.keys()
    there.state.policies.set(roleArn, [{ Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' }])
    const [key] = there.accessKeys.values()
    const policy = JSON.stringify({ Statement: { Effect: 'Allow', Action: 'secretsmanager:Describe*', Resource: '*' } })
    if (key?.session) there.accessKeys.set(key.accessKeyId, { ...key, session: { ...key.session, policy } })
    const failure = await failureOf(write('db', 'one'))
    expect(failure.fix).toBe("allow secretsmanager:CreateSecret in the target's session_policy")
    if (key) there.accessKeys.set(key.accessKeyId, key)
  })
})
