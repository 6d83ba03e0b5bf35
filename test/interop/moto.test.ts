/**
 * Moto as a second opinion on AWS Secrets Manager: it holds secrets as others read the documents, and checks no
 * permissions.
 *
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { join } from 'node:path'
import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretVersionIdsCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { createConnectUpstream } from '../../src/adapters/connect-upstream.node.ts'
import { createOpenDestination } from '../../src/adapters/destinations/index.ts'
import { createFileReader } from '../../src/adapters/file-reader.node.ts'
import type { AwsCredential } from '../../src/core/cloud.ts'
import { destinationSchema } from '../../src/core/config-destinations.ts'
import type { SecretDestination } from '../../src/core/secret-destination.ts'
import { failureOf, listAll, owner, pushOf, turnOf } from '../support/destination-world.ts'
import type { Members } from '../support/exchanger.ts'
import { createTestAuthority } from '../support/tls.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { freePorts, poll, start } from './support/command.ts'
import { buildDeadlineMs, part } from './support/parts.ts'

const stack = cleanupAfterAll()
const region = 'eu-west-1'
const credential: AwsCredential = {
  type: 'aws',
  accessKeyId: 'ASIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'session',
  expiresAt: new Date(Date.now() + 3_600_000),
  roleArn: 'arn:aws:iam::123456789012:role/sync',
}

let endpoint = ''
let caFile = ''
/** The vendor's, of somebody else in the account. */
let person: SecretsManagerClient

beforeAll(async () => {
  await part('python-environment.sh', 'test/interop/python/moto.txt')
  const folder = await makeFolder(stack)
  const authority = await createTestAuthority('moto CA')
  const { cert, key } = await authority.issue()
  caFile = join(folder, 'ca.pem')
  const files = { [caFile]: authority.ca, [join(folder, 'tls.crt')]: cert, [join(folder, 'tls.key')]: key }
  for (const [file, text] of Object.entries(files)) writeFileSync(file, text)
  const [port = 0] = await freePorts(1)
  endpoint = `https://localhost:${port}`
  const script = join(import.meta.dirname, '../../scripts/moto.sh')
  const tls = ['--ssl-cert', join(folder, 'tls.crt'), '--ssl-key', join(folder, 'tls.key')]
  const moto = start(stack, script, ['--host', '127.0.0.1', '--port', String(port), ...tls])
  person = new SecretsManagerClient({
    region,
    endpoint,
    credentials: credential,
    requestHandler: { httpsAgent: new Agent({ ca: readFileSync(caFile) }) },
  })
  stack.defer(() => person.destroy())
  await poll('moto', 60_000, async () => {
    moto.alive()
    return listAll(open()).catch(() => undefined)
  })
}, buildDeadlineMs)

const opened: SecretDestination[] = []
stack.defer(async () => {
  await Promise.all(opened.map(({ close }) => close?.()))
})

let names = 0
let name = ''
/** Nothing is ever reset: each test has a secret of its own. */
beforeEach(() => {
  name = `test-${names++}`
})

function open(more: Members = {}): SecretDestination {
  const connect = createConnectUpstream({ files: createFileReader(), monotonicMs: () => performance.now() })
  const openDestination = createOpenDestination({ connect, now: () => new Date(), pause: async () => undefined })
  const document = destinationSchema.parse({
    type: 'aws-secrets-manager',
    target: 'there',
    region,
    endpoint,
    ca_file: caFile,
    ...more,
  })
  const destination = openDestination({ name: 'there', document, credential: async () => credential })
  opened.push(destination)
  return destination
}

const write = (value: string | Uint8Array, changes = {}, document: Members = {}) =>
  open(document).write(pushOf(name, value, changes), turnOf())
const read = async () => (await person.send(new GetSecretValueCommand({ SecretId: name }))).SecretString
const find = () => open().find(name, turnOf())
const edit = (SecretString: string) => person.send(new PutSecretValueCommand({ SecretId: name, SecretString }))
const listed = async () => (await listAll(open())).find((held) => held.name === name)

async function countVersions(): Promise<number> {
  const command = new ListSecretVersionIdsCommand({ SecretId: name, IncludeDeprecated: true })
  return (await person.send(command)).Versions?.length ?? 0
}

test('a secret is created, left alone, changed, and changed back', async () => {
  expect(await write('one')).toMatchObject({ outcome: 'created' })
  expect(await write('one')).toMatchObject({ outcome: 'unchanged' })
  for (const value of ['two', 'one', 'two']) {
    expect(await write(value)).toMatchObject({ outcome: 'updated' })
    expect(await read()).toBe(value)
    expect(await listed()).toMatchObject({ state: 'whole', stamp: pushOf(name, value).stamp })
    expect(await find()).toMatchObject({ state: 'whole' })
  }
  expect(await countVersions()).toBe(4)
})

test('bytes arrive as they are', async () => {
  await write(Buffer.from([0, 255, 10]))
  const { SecretBinary } = await person.send(new GetSecretValueCommand({ SecretId: name }))
  expect(Buffer.from(SecretBinary ?? [])).toEqual(Buffer.from([0, 255, 10]))
})

test('an edit by hand is seen, and written over', async () => {
  await write('one')
  await edit('by hand')
  expect(await find()).toMatchObject({ state: 'edited', stamp: { owner } })
  expect(await listed()).toMatchObject({ state: 'edited' })
  expect(await write('one')).toMatchObject({ outcome: 'updated' })
  expect(await read()).toBe('one')
})

test('what is not ours is left alone, until it is adopted', async () => {
  await person.send(new CreateSecretCommand({ Name: name, SecretString: 'precious' }))
  expect(await failureOf(write('one'))).toMatchObject({ kind: 'conflict' })
  expect(await failureOf(open().remove(name, owner, turnOf()))).toMatchObject({ kind: 'conflict' })
  expect(await read()).toBe('precious')
  expect(await write('one', { adopts: true })).toMatchObject({ outcome: 'adopted' })
  expect(await read()).toBe('one')
  expect(await listed()).toMatchObject({ state: 'whole', stamp: { owner } })
})

test('what is removed can be had back, and is', async () => {
  await write('one')
  const removed = await open({ recovery_window: '7d' }).remove(name, owner, turnOf())
  expect(removed).toMatchObject({ outcome: 'removed', recoverableUntil: expect.any(Date) })
  expect(await listed()).toBeUndefined()
  expect(await open().remove(name, owner, turnOf())).toMatchObject({ outcome: 'absent' })
  expect(await failureOf(write('one', {}, { on_scheduled_deletion: 'fail' }))).toMatchObject({
    kind: 'blocked_deleted',
  })
  expect(await write('two')).toMatchObject({ outcome: 'recovered' })
  expect(await read()).toBe('two')
})

test('tags, key and replicas are set', async () => {
  const document = { tags: { team: 'payments' }, kms_key: 'alias/sync', replica_regions: { 'us-east-1': null } }
  await write('one', { tags: { env: 'prod' } }, document)
  const { Tags, KmsKeyId, ReplicationStatus } = await person.send(new DescribeSecretCommand({ SecretId: name }))
  const tags = Object.fromEntries((Tags ?? []).map(({ Key = '', Value }) => [Key, Value]))
  expect(tags).toMatchObject({ team: 'payments', env: 'prod' })
  expect([KmsKeyId, ReplicationStatus?.map(({ Region }) => Region)]).toEqual(['alias/sync', ['us-east-1']])
  expect(await open(document).remove(name, owner, turnOf())).toMatchObject({ outcome: 'removed' })
})

test('a listing has all pages', async () => {
  const each = Array.from({ length: 130 }, (_, n) => `${name}-${String(n).padStart(3, '0')}`)
  const destination = open()
  for (const one of each) await destination.write(pushOf(one, 'x'), turnOf())
  const all = new Set((await listAll(destination)).map((held) => held.name))
  expect(each.filter((one) => !all.has(one))).toEqual([])
})
