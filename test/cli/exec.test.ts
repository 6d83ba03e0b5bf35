import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  awsCredential,
  type CredentialGateway,
  startCredentialGateway,
  tokenCredential,
} from '../support/credential-gateway.ts'
import { makeFolder, type RunResult, runCli, startCli } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let gateway: CredentialGateway
let folder: ReturnType<typeof makeFolder>
let env: Record<string, string>

beforeEach(async () => {
  gateway = await startCredentialGateway()
  folder = makeFolder()
  mkdirSync(folder.file('tmp'))
  env = {
    APOSTILLE_SERVER: gateway.url,
    APOSTILLE_CA_FILE: gateway.caFile,
    APOSTILLE_TOKEN_FILE: gateway.tokenFile,
    // What is left there is seen.
    TMPDIR: folder.file('tmp'),
    HOME: folder.path,
  }
})

afterEach(async () => {
  await gateway.close()
  folder.remove()
})

const leftBehind = () => readdirSync(folder.file('tmp')).filter((name) => name.startsWith('apostille'))

function exec(targets: readonly string[], command: readonly string[], more: Record<string, string> = {}) {
  const flags = targets.flatMap((target) => ['--target', target])
  return runCli(['exec', ...flags, '--', ...command], { env: { ...env, ...more } })
}

/** Runs a module in the command's place. */
function execModule(targets: readonly string[], text: string, more?: Record<string, string>): Promise<RunResult> {
  return exec(targets, [process.execPath, '--input-type=module', '-e', text], more)
}

const library = (name: string) => JSON.stringify(import.meta.resolve(name))

test('SDKs of the three clouds find their credentials, whatever was there before', async () => {
  writeFileSync(folder.file('google.json'), '{}')
  mkdirSync(folder.file('.aws'), { recursive: true })
  writeFileSync(
    folder.file('.aws/config'),
    '[default]\nregion = eu-west-3\naws_access_key_id = AKIAFILE\naws_secret_access_key = x\n',
  )
  const { code, stdout, stderr } = await execModule(
    ['s3', 'vault', 'storage'],
    `const { STSClient } = await import(${library('@aws-sdk/client-sts')})
    const { DefaultAzureCredential, ManagedIdentityCredential } = await import(${library('@azure/identity')})
    const { GoogleAuth } = await import(${library('google-auth-library')})
    const sts = new STSClient({})
    const aws = await sts.config.credentials()
    const google = await new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' }).getAccessToken()
    const azure = [new DefaultAzureCredential(), new ManagedIdentityCredential()]
    const scope = 'https://vault.azure.net/.default'
    const tokens = await Promise.all(azure.map((credential) => credential.getToken(scope)))
    console.log(JSON.stringify([aws.accessKeyId, await sts.config.region(), google, ...tokens.map(({ token }) => token)]))`,
    {
      AWS_ACCESS_KEY_ID: 'AKIAOLD',
      AWS_SECRET_ACCESS_KEY: 'x',
      AWS_PROFILE: 'gone',
      GOOGLE_APPLICATION_CREDENTIALS: folder.file('google.json'),
      AZURE_TENANT_ID: 'old',
      AZURE_CLIENT_ID: 'old',
      AZURE_CLIENT_SECRET: 'old',
      HTTP_PROXY: 'http://127.0.0.1:1',
      http_proxy: 'http://127.0.0.1:1',
    },
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual([
    'ASIAEXAMPLE',
    'eu-west-3',
    'gcp-access-token',
    'azure-access-token',
    'azure-access-token',
  ])
  // Each was had before the command began, and is fresh.
  expect(gateway.requests).toHaveLength(3)
  expect(leftBehind()).toEqual([])
})

test('the command has the environment, the arguments and the standard streams', async () => {
  const args = ['exec', '--target', 's3', '--', 'sh', '-c', 'cat; echo "$1 $MINE" >&2', 'sh', '--output']
  const result = await runCli([...args, 'json'], { env: { ...env, MINE: 'a b' }, input: 'from stdin' })
  expect(result).toEqual({ code: 0, stdout: 'from stdin', stderr: '--output a b\n' })
})

/** A command that asks for its credential of AWS for each line that it gets, and shows what it got. */
const asker = `import { createInterface } from 'node:readline'
  const { AWS_CONTAINER_CREDENTIALS_FULL_URI: url, AWS_CONTAINER_AUTHORIZATION_TOKEN: authorization } = process.env
  console.log('ready')
  for await (const _ of createInterface({ input: process.stdin })) {
    const response = await fetch(url, { headers: { authorization } })
    const { SecretAccessKey, Code } = await response.json()
    console.log(response.status, SecretAccessKey ?? Code)
  }`

function startAsker(more: Record<string, string> = {}) {
  const command = [process.execPath, '--input-type=module', '-e', asker]
  const running = startCli(['exec', '--target', 's3', '--', ...command], { env: { ...env, ...more } })
  let lines = 1
  return {
    running,
    async ask(): Promise<string> {
      running.child.stdin?.write('\n')
      lines++
      await running.until('stdout', new RegExp(`^(?:.*\\n){${lines}}`))
      return running.stdout().trimEnd().split('\n').at(-1) ?? ''
    },
    async end(): Promise<void> {
      running.child.stdin?.end()
      await running.stop()
    },
  }
}

/** Too short to be kept. */
const short = () => awsCredential(new Date(Date.now() + 50_000))

test('a credential that is about to expire is had anew, with the proof as it is then', async () => {
  gateway.credentials.set('s3', { ...short(), secretAccessKey: 'first' } as never)
  const { running, ask, end } = startAsker()
  await running.until('stdout', 'ready\n')
  gateway.credentials.set('s3', { ...awsCredential(), secretAccessKey: 'second' } as never)
  expect(await ask()).toBe('200 second')
  expect(await ask()).toBe('200 second')
  expect(gateway.requests).toHaveLength(2)
  await end()
})

test('a proof that is refused later is told on standard error, and to the SDK', async () => {
  gateway.credentials.set('s3', short())
  const { running, ask, end } = startAsker()
  await running.until('stdout', 'ready\n')
  gateway.fail(['not_entitled'])
  expect(await ask()).toBe('403 not_entitled')
  expect(await ask()).toMatch('200 ')
  writeFileSync(gateway.tokenFile, 'another')
  expect(await ask()).toBe('403 proof_rejected')
  expect(running.stderr()).toMatch(
    /^apostille: target s3: no fresh credential: .*, request id 0123456789abcdef01234567$/m,
  )
  expect(running.stderr()).not.toContain('secret')
  await end()
})

test.each([
  ['its own', 'exit 7', 7],
  ['success', 'true', 0],
  ['128 and the number of the signal that ended it', 'kill -9 $$', 137],
])('the exit code is %s', async (_, script, code) => {
  expect(await exec(['s3'], ['sh', '-c', script])).toEqual({ code, stdout: '', stderr: '' })
  expect(leftBehind()).toEqual([])
})

test('a command that is not there is 127 and one line, one that can not be run 126', async () => {
  expect(await exec(['s3'], ['no-such-command'])).toEqual({
    code: 127,
    stdout: '',
    stderr: 'error: no-such-command: there is no such command\n',
  })
  const file = folder.write('not-executable', '', 0o600)
  expect(await exec(['s3'], [file])).toMatchObject({ code: 126, stderr: `error: ${file} can not be run (EACCES)\n` })
  expect(leftBehind()).toEqual([])
})

test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const)(
  '%s goes to the command, which ends as it likes',
  async (signal) => {
    const script = `trap 'echo got ${signal}; exit 9' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`
    const running = startCli(['exec', '--target', 's3', '--', 'sh', '-c', script], { env })
    await running.until('stdout', 'ready\n')
    expect(await running.stop(signal)).toBe(9)
    expect(running.stdout()).toBe(`ready\ngot ${signal}\n`)
    expect(leftBehind()).toEqual([])
  },
)

test('what a target refuses fails before the command starts', async () => {
  const { code, stdout, stderr } = await exec(['s3', 'unknown'], ['sh', '-c', 'echo started'])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain('(not_entitled)')
  expect(leftBehind()).toEqual([])
})

test.each([
  ['no target', [], 'true', '--target is missing'],
  ['no command', ['--target', 's3'], undefined, "missing required argument 'command'"],
  ['the proof on standard input', ['--target', 's3', '--token-file', '-'], 'true', 'standard input'],
  ['half of the facts', ['--target', 's3', '--tenant', 't'], 'true', 'go together'],
  ['two targets of one cloud', ['--target', 's3', '--target', 'other'], 'true', 'are both of type aws'],
])('%s is wrong usage', async (_, flags, command, told) => {
  gateway.credentials.set('other', awsCredential())
  const words = command === undefined ? [] : ['--', command]
  const { code, stdout, stderr } = await runCli(['exec', ...flags, ...words], { env })
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(told)
})

test('with facts Azure has a token file that is kept fresh and taken away', async () => {
  gateway.jwtLifeSeconds = 2
  const text = `import { readFileSync, statSync, watch } from 'node:fs'
    import { dirname } from 'node:path'
    const { AZURE_FEDERATED_TOKEN_FILE: file, AZURE_TENANT_ID, AZURE_CLIENT_ID, IDENTITY_ENDPOINT } = process.env
    const first = readFileSync(file, 'utf8')
    const modes = [file, dirname(file)].map((path) => (statSync(path).mode & 0o777).toString(8))
    const look = () => {
      const now = readFileSync(file, 'utf8')
      if (now === first || now === '') return
      console.log(JSON.stringify({ file, AZURE_TENANT_ID, AZURE_CLIENT_ID, IDENTITY_ENDPOINT, modes, first, now }))
      process.exit()
    }
    watch(dirname(file), look)
    look()`
  const flags = ['--target', 'vault', '--tenant', 't', '--client-id', 'c', '--audience', 'api://mine']
  const command = [process.execPath, '--input-type=module', '-e', text]
  const { code, stdout } = await runCli(['exec', ...flags, '--', ...command], {
    env: { ...env, IDENTITY_ENDPOINT: 'old' },
  })
  expect(code).toBe(0)
  const seen = JSON.parse(stdout)
  expect(seen).toMatchObject({ AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', modes: ['600', '700'] })
  expect(seen).not.toHaveProperty('IDENTITY_ENDPOINT')
  const claims = [seen.first, seen.now].map((token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()),
  )
  expect(claims).toMatchObject([{ aud: ['api://mine'], jti: '1' }, { aud: ['api://mine'] }])
  expect(existsSync(join(seen.file))).toBe(false)
})

test('a gateway that is away for a moment is not seen by the command', async () => {
  gateway.credentials.set('s3', awsCredential(new Date(Date.now() + 125_000)))
  const { running, ask, end } = startAsker()
  await running.until('stdout', 'ready\n')
  gateway.fail('reset', 'garbage', ['overloaded'])
  expect(await ask()).toBe("200 secret/key+'quoted'")
  expect(await ask()).toBe("200 secret/key+'quoted'")
  await end()
})

test('a target of each cloud may be named, in any order', async () => {
  gateway.credentials.set('other', tokenCredential('gcp'))
  const { code, stdout } = await exec(['other', 's3'], ['sh', '-c', 'env'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^AWS_CONTAINER_CREDENTIALS_FULL_URI=http:\/\/127\.0\.0\.1:\d+\/aws$/m)
  expect(stdout).toMatch(/^GOOGLE_APPLICATION_CREDENTIALS=.*\/google\.json$/m)
  expect(stdout).not.toContain('IDENTITY_ENDPOINT')
})
