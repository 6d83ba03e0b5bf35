import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test, vi } from 'vitest'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000 })

const table = new URL('../../../src/adapters/destinations/index.ts', import.meta.url).href
const documents = {
  'aws-secrets-manager': { region: 'eu-west-1', tags: {}, replica_regions: {}, recovery_window: 604_800 },
  'azure-key-vault': { vault_url: 'https://payments.vault.azure.net', tags: {} },
  'gcp-secret-manager': { project: 'payments-prod', labels: {}, annotations: {} },
}

/** Opens a destination of each kind, and calls one. */
const program = (called: string) => `
  import { createOpenDestination } from ${JSON.stringify(table)}
  const connect = () => ({
    request: async () => ({ status: 404, headers: new Headers(), text: '{}' }),
    close: async () => undefined,
  })
  const open = createOpenDestination({ connect, now: () => new Date(), pause: async () => undefined })
  const credential = async () => ({
    type: ${JSON.stringify(called)} === 'aws-secrets-manager' ? 'aws' : 'azure',
    accessToken: 'x', accessKeyId: 'x', secretAccessKey: 'x', sessionToken: 'x', expiresAt: new Date(), roleArn: 'x',
  })
  for (const [type, document] of Object.entries(${JSON.stringify(documents)})) {
    const destination = open({ name: type, document: { type, ...document }, credential })
    const turn = { signal: new AbortController().signal, pace: async () => undefined }
    if (type === ${JSON.stringify(called)}) await destination.find('x', turn).catch(({ kind }) => console.log(kind))
    await destination.close()
  }
`

interface Coverage {
  readonly result: readonly { readonly url: string }[]
}

async function loadedBy(called: string) {
  const coverage = mkdtempSync(join(tmpdir(), 'destinations-'))
  const args = ['--input-type=module', '--eval', program(called)]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, NODE_V8_COVERAGE: coverage },
  })
  // Every script that ran has its coverage.
  const files = readdirSync(coverage).flatMap((name) =>
    (JSON.parse(readFileSync(join(coverage, name), 'utf8')) as Coverage).result.map(({ url }) => url),
  )
  rmSync(coverage, { recursive: true })
  expect(files).toContain(table)
  const packages = files.flatMap((file) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? [])
  const adapters = files.flatMap(
    (file) => /\/destinations\/([a-z]+-(?:secrets-manager|key-vault|secret-manager))\.ts/.exec(file)?.[1] ?? [],
  )
  return { said: stdout.trim(), packages: [...new Set(packages)], adapters: [...new Set(adapters)] }
}

test.concurrent('destinations that nobody calls load nothing', async () => {
  expect(await loadedBy('none')).toEqual({ said: '', packages: [], adapters: [] })
})

test.concurrent.each(['azure-key-vault', 'gcp-secret-manager'])('%s needs no library', async (called) => {
  expect(await loadedBy(called)).toEqual({ said: 'unreachable', packages: [], adapters: [called] })
})

test.concurrent('aws-secrets-manager loads the library of its store with its first call, and no other', async () => {
  const { said, packages, adapters } = await loadedBy('aws-secrets-manager')
  expect([said, adapters]).toEqual(['unreachable', ['aws-secrets-manager']])
  expect(packages).toContain('@aws-sdk/client-secrets-manager')
  expect(packages.filter((name) => !/^@(?:aws-sdk|smithy)\/|^@?aws-?\w*\/|^tslib$/.test(name))).toEqual([])
  expect(packages).not.toContain('@aws-sdk/client-sts')
})
