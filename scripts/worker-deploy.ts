/**
 * `npm run worker:deploy -- [what wrangler deploy takes]`: checks the configuration that `APOSTILLE_CONFIG` names (default
 * `./apostille.yaml`) as the Worker will, and deploys the Worker with it. The seal key is left as it is.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { runScript } from './script-failure.ts'
import { readBindings } from './worker-bindings.ts'

const root = join(import.meta.dirname, '..')

async function main(): Promise<void> {
  const { variables, secrets } = await readBindings(process.env['APOSTILLE_CONFIG'] ?? 'apostille.yaml')
  const folder = await mkdtemp(join(tmpdir(), 'apostille-deploy-'))
  try {
    const secretsFile = join(folder, 'secrets.json')
    await writeFile(secretsFile, JSON.stringify(secrets), { mode: 0o600 })
    const vars = Object.entries(variables).flatMap(([name, value]) => ['--var', `${name}:${value}`])
    const files = Object.keys(secrets).length > 0 ? ['--secrets-file', secretsFile] : []
    process.exitCode = await wrangler(['deploy', ...vars, ...files, ...process.argv.slice(2)])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function wrangler(flags: readonly string[]): Promise<number> {
  const program = join(dirname(createRequire(import.meta.url).resolve('wrangler/package.json')), 'bin/wrangler.js')
  const child = spawn(process.execPath, [program, ...flags], { cwd: root, stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

await runScript(main)
