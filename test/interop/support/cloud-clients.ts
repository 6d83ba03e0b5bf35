/**
 * The vendors' SDKs of one language as clients that know nothing of us: what they are told is in variables and files. The
 * doubles check what the clouds check; the one of AWS the signature of the credential, too.
 *
 * @module
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Fault } from '../../support/clouds/cloud-server.ts'
import { cleanupAfterAll } from './cleanup.ts'
import {
  azureAudience,
  type CloudWorld,
  defaultApp,
  googleAudience,
  idOf,
  openCloudWorld,
  others,
  payments,
  provider,
  reports,
  roleArn,
  serviceAccountEmail,
  stranger,
  tenant,
} from './clouds.ts'
import { run, runOk, start } from './command.ts'
import { buildDeadlineMs } from './parts.ts'

export type Sdk = 'aws' | 'azure' | 'managed-identity' | 'google'

export interface CloudClient {
  readonly language: string
  /** The program that uses an SDK: {@link Sdk} is its last argument. */
  readonly open: () => Promise<readonly [command: string, ...args: readonly string[]]>
  /** Variables with which it trusts the authority of a PEM file. */
  readonly trust: (caFile: string, folder: string) => Promise<Environment>
  /** Whether its SDK of AWS asks the gateway again when it has no answer after 3 seconds. */
  readonly isImpatient: boolean
  /** What it says when the cloud or the gateway gives nothing. */
  readonly refusals: Readonly<Record<'gateway' | 'aws' | 'azure' | 'google', RegExp>>
}

type Environment = Readonly<Record<string, string>>
interface Said {
  readonly arn?: string
  readonly token?: string
  readonly error?: string
  readonly message?: string
}

const main = join(import.meta.dirname, '../../../src/cli/main.ts')

export function cloudClientSuite(client: CloudClient): void {
  const stack = cleanupAfterAll()
  let world: CloudWorld
  let command: readonly [string, ...(readonly string[])]
  /** Of every program: a home with no files in it, and whom to trust. */
  let base: Environment

  beforeAll(async () => {
    command = await client.open()
    world = await openCloudWorld(stack)
    const home = join(world.folder, 'home')
    await mkdir(home)
    // Without a project, Google's library for Node looks for one as far as the metadata service of a virtual machine.
    base = { HOME: home, GOOGLE_CLOUD_PROJECT: 'example', ...(await client.trust(world.caFile, world.folder)) }
  }, buildDeadlineMs)

  beforeEach(() => {
    world.clock.skewSeconds = 0
  })

  async function ask(sdk: Sdk, env: Environment): Promise<Said> {
    const [file, ...args] = command
    return JSON.parse(await runOk(file, [...args, sdk], { input: 'go\n', env: { ...base, ...env } }))
  }

  /** boto3 reads the second name only. */
  const awsCall = () => ({
    AWS_REGION: 'eu-west-1',
    AWS_DEFAULT_REGION: 'eu-west-1',
    AWS_ENDPOINT_URL_STS: world.sts.url,
  })
  const container = async (caller = payments, target = 'payments-s3') => ({
    ...awsCall(),
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${world.gateway.origin}/v1/credentials/${target}`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: await world.writeToken(caller),
  })
  const azure = (tokenFile: string) => ({
    AZURE_TENANT_ID: tenant,
    AZURE_CLIENT_ID: defaultApp.clientId,
    AZURE_FEDERATED_TOKEN_FILE: tokenFile,
    AZURE_AUTHORITY_HOST: world.entra.url,
  })
  const proof = (tokenFile: string) => [
    ...['--server', world.gateway.origin, '--ca-file', world.caFile, '--token-file', tokenFile],
  ]
  const apostille = (...args: readonly string[]) => runOk(process.execPath, [main, ...args], { env: base })

  async function writeSvid(audience: string, caller = payments): Promise<string> {
    const file = join(world.folder, 'svid.jwt')
    await apostille('svid', 'jwt', '--audience', audience, '--out', file, ...proof(await world.writeToken(caller)))
    return file
  }

  const assumed = (caller = payments) =>
    expect.stringMatching(
      `^arn:aws:sts::123456789012:assumed-role/payments/ns\\.payments\\.sa\\.${caller.name}-[0-9a-f]{8}$`,
    )

  async function lastRecords(count: number) {
    return (await world.gateway.records()).slice(-count)
  }

  describe('AWS', () => {
    test('two variables and the token of a pod are a role', async () => {
      expect(await ask('aws', await container())).toEqual({ arn: assumed() })

      expect(await lastRecords(2)).toMatchObject([
        { operation: 'exchange_token', decision: 'granted' },
        {
          operation: 'exchange',
          decision: 'granted',
          target: 'payments-s3',
          spiffe_id: idOf(payments),
          issued: { credential_id: expect.stringMatching(/^ASIA/) },
        },
      ])
    })

    test('the file is read anew: the next token in it is who we are', async () => {
      const env = { ...base, ...(await container(payments)) }
      const [file, ...args] = command
      const program = start(stack, file, [...args, 'aws'], { env, input: 'go\n' })
      await program.line(/^.*\n/)
      await world.writeToken(reports)
      program.write('go\n')
      await program.line(/\n.*\n/)
      await program.stop()

      const answers = program
        .output()
        .stdout.trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(answers).toEqual([{ arn: assumed(payments) }, { arn: assumed(reports) }])
    })

    test('a token of ours in a file, exchanged by the SDK itself', async () => {
      const file = await writeSvid('sts.amazonaws.com')
      const env = { AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ROLE_ARN: roleArn, AWS_ROLE_SESSION_NAME: 'by-itself' }
      const said = await ask('aws', { ...awsCall(), ...env })
      expect(said).toEqual({ arn: 'arn:aws:sts::123456789012:assumed-role/payments/by-itself' })
    })

    test('a profile with credential_process', async () => {
      const words = [process.execPath, main, 'credentials', 'payments-s3', '--format', 'process']
      const line = [...words, ...proof(await world.writeToken(payments))].join(' ')
      const config = join(world.folder, 'aws-config')
      await writeFile(config, `[default]\nregion = eu-west-1\ncredential_process = ${line}\n`)
      const said = await ask('aws', { AWS_CONFIG_FILE: config, AWS_ENDPOINT_URL_STS: world.sts.url })
      expect(said).toEqual({ arn: assumed() })
    })

    test('whom no policy permits gets an error, and the record says why', async () => {
      const said = await ask('aws', await container(stranger))
      expect(`${said.error}: ${said.message}`).toMatch(client.refusals.gateway)
      expect(await lastRecords(1)).toMatchObject([
        { operation: 'exchange', decision: 'refused', code: 'not_entitled', spiffe_id: idOf(stranger) },
      ])
    })
  })

  describe('Azure', () => {
    test('variables, and a file that `svid jwt --out` wrote', async () => {
      const said = await ask('azure', azure(await writeSvid(azureAudience)))
      expect(said).toEqual({ token: world.entra.issued.at(-1)?.accessToken })
      expect(world.entra.issued.at(-1)?.subject).toBe(idOf(payments))
    })

    test('variables as `credentials --format azure-env` prints them', async () => {
      const file = join(world.folder, 'azure-env.jwt')
      const facts = ['--tenant', tenant, '--client-id', defaultApp.clientId, '--authority-host', world.entra.url]
      const wanted = ['credentials', 'vault', '--format', 'azure-env', '--token-out', file, '--output', 'json']
      const printed = await apostille(...wanted, ...facts, ...proof(await world.writeToken(payments)))
      const said = await ask('azure', JSON.parse(printed))
      expect(said).toEqual({ token: world.entra.issued.at(-1)?.accessToken })
    })

    test('`exec`: what the gateway exchanged comes as a managed identity', async () => {
      const flags = proof(await world.writeToken(reports))
      const args = [main, 'exec', '--target', 'vault', ...flags, '--', ...command, 'managed-identity']
      const said = JSON.parse(await runOk(process.execPath, args, { input: 'go\n', env: base }))
      expect(said).toEqual({ token: world.entra.issued.at(-1)?.accessToken })
      expect(await lastRecords(1)).toMatchObject([{ operation: 'exchange', target: 'vault', spiffe_id: idOf(reports) }])
    })

    test("whom the application does not trust gets Entra's code", async () => {
      const said = await ask('azure', azure(await writeSvid(azureAudience, stranger)))
      expect(`${said.error}: ${said.message}`).toMatch(client.refusals.azure)
    })
  })

  describe('Google', () => {
    const place = () => ({
      type: 'external_account',
      universe_domain: 'googleapis.com',
      audience: `//iam.googleapis.com/${provider}`,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: world.google.tokenUrl,
    })
    async function configure(document: object): Promise<Environment> {
      const file = join(world.folder, 'google.json')
      await writeFile(file, JSON.stringify(document))
      return { GOOGLE_APPLICATION_CREDENTIALS: file }
    }
    const configFlags = () => ['--config', join(world.gateway.folder, 'apostille.yaml')]

    test('a file that `svid jwt --out` wrote', async () => {
      const file = await writeSvid(googleAudience)
      const said = await ask('google', await configure({ ...place(), credential_source: { file } }))
      expect(said).toEqual({ token: world.google.federatedTokens.at(-1)?.accessToken })
    })

    test('a program that the library runs, as `credentials --format google-adc` says', async () => {
      const flags = proof(await world.writeToken(payments))
      const printed = await apostille('credentials', 'bucket', '--format', 'google-adc', ...configFlags(), ...flags)
      const env = { ...(await configure(JSON.parse(printed))), GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES: '1' }
      expect(await ask('google', env)).toEqual({ token: world.google.federatedTokens.at(-1)?.accessToken })
    })

    test('a service account, which the library impersonates', async () => {
      const file = await writeSvid(googleAudience)
      const document = {
        ...place(),
        service_account_impersonation_url: world.google.impersonationUrl(serviceAccountEmail),
        credential_source: { file },
      }
      const said = await ask('google', await configure(document))
      expect(said).toEqual({ token: world.google.serviceAccountTokens.at(-1)?.accessToken })
      expect(world.google.serviceAccountTokens.at(-1)?.email).toBe(serviceAccountEmail)
    })

    test('`exec`: what the gateway exchanged comes as an external account', async () => {
      const flags = proof(await world.writeToken(reports))
      const args = [main, 'exec', '--target', 'reports', ...flags, '--', ...command, 'google']
      const said = JSON.parse(await runOk(process.execPath, args, { input: 'go\n', env: base }))
      expect(said).toEqual({ token: world.google.serviceAccountTokens.at(-1)?.accessToken })
      expect(await lastRecords(1)).toMatchObject([{ operation: 'exchange', target: 'reports' }])
    })

    test("whom the provider does not trust gets Google's code", async () => {
      const file = await writeSvid(googleAudience, stranger)
      const said = await ask('google', await configure({ ...place(), credential_source: { file } }))
      expect(`${said.error}: ${said.message}`).toMatch(client.refusals.google)
    })
  })

  describe('a cloud that fails', () => {
    /** An identity that nobody asked for before, so that nothing is reused. */
    let caller = 0
    const fresh = () => ({ namespace: 'payments', name: `worker-${caller++}` })

    test.each<[string, Fault, number]>([
      ['throttles', { kind: 'throttle' }, 2],
      ['is unavailable', { kind: 'unavailable' }, 2],
      ['has an internal error', { kind: 'unavailable', status: 500 }, 1],
      ['resets the connection', { kind: 'reset' }, 1],
      ['answers something else', { kind: 'garbage' }, 1],
    ])('for a moment is not noticed: it %s', async (_, fault, times) => {
      const worker = fresh()
      world.sts.inject(fault, times)
      expect(await ask('aws', await container(worker))).toEqual({ arn: assumed(worker) })
      expect(await lastRecords(1)).toMatchObject([{ operation: 'exchange', decision: 'granted' }])
    })

    test('slow, so that an impatient SDK gives up and asks again, is asked once, and the SDK gets the answer', async () => {
      const worker = fresh()
      const before = world.sts.requests.length
      world.sts.inject({ kind: 'delay', ms: 3000 })
      expect(await ask('aws', await container(worker))).toEqual({ arn: assumed(worker) })
      const actions = world.sts.requests.slice(before).map(({ fields }) => fields['Action'])
      expect(actions).toEqual(['AssumeRoleWithWebIdentity', 'GetCallerIdentity'])
      const asked = (await world.gateway.records()).filter(
        ({ operation, spiffe_id }) => operation === 'exchange' && spiffe_id === idOf(worker),
      )
      expect(asked.length > 1).toBe(client.isImpatient)
    })

    test.each([
      ['ahead', 600, 'ExpiredTokenException'],
      ['behind', -600, 'InvalidIdentityToken'],
    ])('with a clock 10 minutes %s is an error there, and its code is in the record', async (_, skewSeconds, code) => {
      const worker = fresh()
      world.clock.skewSeconds = skewSeconds
      const said = await ask('aws', await container(worker))
      expect(`${said.error}: ${said.message}`).toMatch(client.refusals.aws)
      expect(await lastRecords(1)).toMatchObject([
        {
          operation: 'exchange',
          decision: 'refused',
          code: 'upstream_failed',
          target: 'payments-s3',
          spiffe_id: idOf(worker),
          reason: expect.stringContaining(code),
        },
      ])
    })

    test.each<[string, Sdk, 'entra' | 'google', Fault, number]>([
      ['vault', 'managed-identity', 'entra', { kind: 'throttle' }, 0],
      ['vault', 'managed-identity', 'entra', { kind: 'unavailable' }, 1],
      ['vault', 'managed-identity', 'entra', { kind: 'reset' }, 2],
      ['bucket', 'google', 'google', { kind: 'throttle' }, 0],
      ['bucket', 'google', 'google', { kind: 'unavailable', status: 500 }, 1],
      ['bucket', 'google', 'google', { kind: 'reset' }, 2],
    ])('for a moment is not noticed below `exec` either: %s, %s, %s, %j', async (target, sdk, cloud, fault, index) => {
      const worker = others[index] ?? payments
      world[cloud].inject(fault)
      const args = [main, 'exec', '--target', target, ...proof(await world.writeToken(worker)), '--', ...command, sdk]
      const said: Said = JSON.parse(await runOk(process.execPath, args, { input: 'go\n', env: base }))
      const { entra, google } = world
      const { accessToken } = (cloud === 'entra' ? entra.issued : google.federatedTokens).at(-1) ?? {}
      expect(said).toEqual({ token: accessToken })
      expect(world[cloud].requests.at(-2)?.status).not.toBe(200)
      expect(await lastRecords(1)).toMatchObject([
        { operation: 'exchange', decision: 'granted', spiffe_id: idOf(worker) },
      ])
    })

    test.each([
      ['vault', 'managed-identity', 'AADSTS700024'],
      ['bucket', 'google', 'invalid_grant'],
    ] as const)('with a clock 10 minutes ahead keeps a command from being started: %s', async (target, sdk, code) => {
      // Nothing was had before for this caller and target.
      world.clock.skewSeconds = 600
      const args = [main, 'exec', '--target', target, ...proof(await world.writeToken(payments))]
      const { code: exitCode, stderr } = await run(process.execPath, [...args, '--', ...command, sdk], {
        env: base,
      })
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining('upstream_failed')])
      expect(await lastRecords(1)).toMatchObject([
        { operation: 'exchange', decision: 'refused', target, reason: expect.stringContaining(code) },
      ])
    })
  })

  test('no token or credential is in the records or the log', async () => {
    const kept = world.gateway.log() + JSON.stringify(await world.gateway.records())
    const secrets = [
      ...[...world.sts.state.accessKeys.values()].flatMap((key) => [key.secretAccessKey, key.sessionToken ?? '']),
      ...world.entra.issued.map(({ accessToken }) => accessToken),
      ...world.google.federatedTokens.map(({ accessToken }) => accessToken),
      (await readFile(join(world.folder, 'token'), 'utf8')).split('.')[2] ?? '',
      ...world.sts.requests.flatMap(({ fields }) => fields['WebIdentityToken']?.split('.')[2] ?? []),
    ]
    expect(secrets.length).toBeGreaterThan(10)
    expect(secrets.filter((secret) => secret === '' || kept.includes(secret))).toEqual([])
  })
}
