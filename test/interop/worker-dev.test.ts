/** `npm run worker:dev` as somebody runs it who tries the Worker, and `worker:deploy` as far as it goes without an account. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runCli } from '../cli/run-cli.ts'
import { run, start } from './support/command.ts'

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'apostille-worker-dev-'))
const config = join(folder, 'apostille.yaml')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const document = `trust_domain: example.org
issuer: https://id.example.org
listen: { address: 0.0.0.0:8443 }
admin: { listen: unix:./data/admin.sock }
store: sqlite:./data/apostille.db
seal: { file: ./data/seal.key }
authorities: { jwt: { algorithms: [ES256], rs256_audiences: [] } }
authenticators:
  first: { type: join_token }
identities:
  - { spiffe_id: '/vm/\${proof.name}', from: first, audiences: ['https://api.example.org'] }
`

const env = { APOSTILLE_CONFIG: config, WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false', CI: '1' }
const scriptArgs = (script: string, ...flags: readonly string[]) => [join(root, 'scripts', script), ...flags]

test('serves the configuration on disk, takes the commands of an operator, and keeps what it made', async () => {
  writeFileSync(config, document)
  let token = ''
  for (const round of [1, 2]) {
    await using stack = new AsyncDisposableStack()
    const worker = start(stack, process.execPath, scriptArgs('worker-dev.ts', '--port', '0'), { env })
    const [, url = ''] = await worker.line(/^ready: (http:\/\/127\.0\.0\.1:\d+),/m)
    if (round === 1) {
      const made = await runCli(['join-token', 'create', 'first', '--name', 'web', '--uses', '2', '--config', config])
      token = made.stdout.trim()
    }
    const ask = ['svid', 'jwt', '--server', url, '--token-file', '-', '--audience', 'https://api.example.org']
    const granted = await runCli(ask, { input: token })
    expect([granted.code, granted.stderr]).toEqual([0, ''])
    const verified = await runCli(['records', 'verify', '--config', config])
    expect(verified.stdout).toContain(`chain main: ${round + 1} records`)
    await worker.end()
  }
  expect(statSync(join(folder, 'data/seal.key')).mode & 0o777).toBe(0o600)
})

test('says what no Worker can do, with its place, and starts nothing', async () => {
  writeFileSync(config, `${document}bundle_endpoint: { address: 0.0.0.0:8444, profile: https_spiffe }\n`)
  for (const script of ['worker-dev.ts', 'worker-deploy.ts']) {
    const { code, stderr } = await run(process.execPath, scriptArgs(script), { env })
    expect([script, code]).toEqual([script, 1])
    expect(stderr).toContain('error: the configuration has 1 error\n  12:18 bundle_endpoint: a Worker has no listener')
  }
})

test('what is deployed is taken by wrangler as it is', async () => {
  writeFileSync(config, document)
  const { code, stdout } = await run(process.execPath, scriptArgs('worker-deploy.ts', '--dry-run'), { env })
  expect([code, stdout]).toEqual([0, expect.stringMatching(/GATEWAY[\s\S]+APOSTILLE_CONFIG/)])
})
