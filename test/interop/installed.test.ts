/** The package as people install it, on each version of Node that it is for; nothing else is on the path. */
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { testConfiguration } from '../cli/run-cli.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { run, runOk, start } from './support/command.ts'
import { type Packed, packProject } from './support/packed.ts'
import { buildDeadlineMs, part } from './support/parts.ts'

const stack = cleanupAfterAll()
let packed: Packed

beforeAll(async () => {
  packed = await packProject(stack)
}, 240_000)

const versions: readonly (readonly [major: string, node: () => Promise<string>])[] = [
  ['24', async () => process.execPath],
  ['26', async () => join(await part('npm-package.sh', 'node', '26.10.0'), 'node_modules/node/bin/node')],
]

describe.each(versions)('on Node %s', (major, findNode) => {
  let folder: string
  let prefix: string
  /** With nothing of this process' environment: `env` makes a path of one folder with one program. */
  let command: readonly string[]

  beforeAll(async () => {
    folder = await makeFolder(stack)
    prefix = join(folder, 'prefix')
    const bin = join(folder, 'bin')
    await mkdir(bin)
    await symlink(await findNode(), join(bin, 'node'))
    // Offline, as there is nothing to fetch.
    await runOk('npm', ['install', '--global', '--offline', '--prefix', prefix, packed.tarball], {
      env: { PATH: `${bin}:${process.env['PATH']}`, npm_config_engine_strict: 'true' },
    })
    command = ['-i', `PATH=${bin}`, `HOME=${folder}`, join(prefix, 'bin/apostille')]
  }, buildDeadlineMs)

  const apostille = (...args: readonly string[]) => run('/usr/bin/env', [...command, ...args], { cwd: folder })
  const asked = async (...args: readonly string[]) => {
    const finished = await apostille(...args)
    expect(finished).toMatchObject({ code: 0, stderr: '' })
    return finished.stdout
  }
  const started = (...args: readonly string[]) => start(stack, '/usr/bin/env', [...command, ...args], { cwd: folder })

  test('it says its version and what it can do', async () => {
    expect(await runOk('/usr/bin/env', [...command.slice(0, 3), 'node', '--version'])).toMatch(`v${major}.`)
    const { version } = JSON.parse(await readFile(join(prefix, 'lib/node_modules/apostille/package.json'), 'utf8'))
    expect(await asked('--version')).toBe(`${version}\n`)
    expect(await asked('--help')).toMatch(/^Usage: apostille .*\n {2}serve .*\n/s)
  })

  test('dev gives a first SVID of each kind', async () => {
    const dev = started('dev', '--port', '0', '--output', 'json')
    await dev.line(/\n\}\n$/)
    const { server } = JSON.parse(dev.output().stdout)
    const proof = ['--server', server, '--ca-file', '.apostille/ca.pem', '--token-file', '.apostille/token']
    expect(await asked('svid', 'jwt', '--audience', 'demo', ...proof)).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/)
    expect(await asked('svid', 'x509', '--out', 'svid', ...proof)).toContain('spiffe://dev.local/dev/demo')
    expect((await stat(join(folder, 'svid/svid.key'))).mode & 0o777).toBe(0o600)
    await dev.end()
    expect(dev.output().stderr).not.toMatch(/warning/i)
  })

  test('serve keeps identities and records in SQLite over a restart', async () => {
    await writeFile(join(folder, 'apostille.yaml'), testConfiguration)
    expect(await asked('check')).toContain('apostille.yaml')
    const issue = async () => {
      const serve = started('serve', '--output', 'json')
      await serve.line(/\}\n$/)
      const { listen } = JSON.parse(serve.output().stdout) as { readonly listen: string }
      await asked('bundle', '--out', 'ca.pem')
      await writeFile(join(folder, 'token'), await asked('join-token', 'create', 'first', '--name', 'web'))
      const server = ['--server', `https://localhost:${listen.split(':')[1]}`, '--ca-file', 'ca.pem']
      const audience = ['--audience', 'https://api.example.org', '--token-file', 'token']
      expect(await asked('svid', 'jwt', ...audience, ...server)).toMatch(/^eyJ/)
      const records = await asked('records', 'list', '--output', 'json')
      await serve.end()
      expect(serve.output().stderr).not.toMatch(/warning/i)
      return [await readFile(join(folder, 'ca.pem'), 'utf8'), records.match(/"operation": "jwt_svid"/g)?.length]
    }
    const [authorities] = await issue()
    expect(await issue()).toEqual([authorities, 2])
  })
})
