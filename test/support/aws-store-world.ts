/**
 * Secrets Manager behind STS.
 *
 * @module
 */
import { startAwsSecretsManager } from './clouds/aws-secrets-manager.ts'
import { type AwsSecret, editAwsSecret, versionAt } from './clouds/aws-secrets-state.ts'
import { startAwsSts } from './clouds/aws-sts.ts'
import { startIdentityWorld } from './destination-world.ts'
import type { StoreUnderTest } from './store-under-test.ts'

const account = '123456789012'
const roleArn = `arn:aws:iam::${account}:role/sync`
const region = 'eu-west-1'

/** All that a sync needs; no value can be read. */
const actions = [
  'ListSecrets',
  'DescribeSecret',
  'CreateSecret',
  'PutSecretValue',
  'TagResource',
  'DeleteSecret',
  'RestoreSecret',
  'UpdateSecret',
  'ReplicateSecretToRegions',
  'RemoveRegionsFromReplication',
]

export async function startAwsStore() {
  const identity = await startIdentityWorld()
  const sts = await startAwsSts(identity.cloud)
  const store = await startAwsSecretsManager({ ...identity.cloud, account, region, sts: sts.state })
  sts.createOidcProvider({ account, url: 'https://id.example.org', clientIds: ['sts.amazonaws.com'] })
  sts.state.roles.set(roleArn, {
    arn: roleArn,
    trustPolicy: {
      Version: '2012-10-17',
      Statement: {
        Effect: 'Allow',
        Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/id.example.org` },
        Action: 'sts:AssumeRoleWithWebIdentity',
        Condition: { StringEquals: { 'id.example.org:aud': 'sts.amazonaws.com' } },
      },
    },
  })
  const { state } = store
  const target = { type: 'aws', role_arn: roleArn, region, endpoint: sts.url, ca_file: sts.caFile }
  const document = { type: 'aws-secrets-manager', target: 'there', region, endpoint: store.url, ca_file: store.caFile }

  function permit(allowed: readonly string[]): void {
    const names = allowed.map((action) => `secretsmanager:${action}`)
    state.policies.set(roleArn, [{ Effect: 'Allow', Action: names, Resource: '*' }])
  }

  const visible = (name: string): AwsSecret | undefined => {
    const secret = state.secrets.get(name)
    return secret?.deletion === undefined ? secret : undefined
  }

  permit(actions)
  const valid = await identity.credentialOf(target, 'sts.amazonaws.com')
  return {
    identity,
    store,
    state,
    accessKeys: sts.state.accessKeys,
    valid,
    open: (more = {}, credential = async () => valid) => identity.open({ ...document, ...more }, credential),
    reset() {
      identity.reset()
      store.calm()
      state.secrets.clear()
      state.kmsKeys.clear()
      permit(actions)
    },
    read(name) {
      const secret = visible(name)
      const version = secret && versionAt(secret, 'AWSCURRENT')
      return version?.text ?? (version?.binary === undefined ? undefined : Buffer.from(version.binary, 'base64'))
    },
    versions: (name) => state.secrets.get(name)?.versions.size ?? 0,
    tags: (name) => Object.fromEntries(state.secrets.get(name)?.tags ?? []),
    setTag: (name, tag, value) => void state.secrets.get(name)?.tags.set(tag, value),
    edit: (name, value) => editAwsSecret(state, name, value, identity.now),
    discard(name) {
      const secret = state.secrets.get(name)
      const goneAt = new Date(identity.now.getTime() + 30 * 86_400_000)
      if (secret) secret.deletion = { deletedAt: identity.now, goneAt }
    },
    isWrite: ({ headers }) => !/\.(?:List|Describe|Get)/.test(headers['x-amz-target'] ?? ''),
    permissions: {
      list: 'secretsmanager:ListSecrets',
      look: 'secretsmanager:DescribeSecret',
      create: 'secretsmanager:CreateSecret',
      write: 'secretsmanager:PutSecretValue',
      mark: 'secretsmanager:TagResource',
      remove: 'secretsmanager:DeleteSecret',
      recover: 'secretsmanager:RestoreSecret',
    },
    deny: (permission) => permit(actions.filter((action) => `secretsmanager:${action}` !== permission)),
    async close() {
      await identity.close()
      await Promise.all([sts.close(), store.close()])
    },
  } satisfies StoreUnderTest & { readonly accessKeys: unknown }
}
