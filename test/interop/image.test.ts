/** The Containerfile, built; and its file system served from as an orchestrator would: read-only, by its user, with two volumes. */
import { mkdir, mkdtemp, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { testConfiguration } from '../cli/run-cli.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { runOk, start } from './support/command.ts'
import { buildImage, type Image } from './support/image.ts'
import { buildDeadlineMs } from './support/parts.ts'

const stack = cleanupAfterAll()
let folder: string
let image: Image

beforeAll(async () => {
  folder = await makeFolder(stack)
  image = await buildImage(stack, folder)
}, buildDeadlineMs)

const configuration = testConfiguration
  .replace('sqlite:./', 'sqlite:/var/lib/apostille/')
  .replace('file: ./', 'file: /var/lib/apostille/')
  .replace('unix:./', 'unix:/run/apostille/')

/** In a name space of mounts of its own. The folders of `given` are bound into `root`, and all else is read-only. */
const contained = `
  set -eu
  root=$1 given=$2 user=$3
  shift 3
  mkdir -p "$root/etc/apostille"
  mount --bind "$root" "$root"
  mount --rbind /dev "$root/dev"
  mount --rbind /proc "$root/proc"
  for place in etc/apostille var/lib/apostille run/apostille; do mount --bind "$given/$place" "$root/$place"; done
  mount -o remount,bind,ro "$root/etc/apostille"
  mount -o remount,bind,ro "$root"
  exec setpriv --no-new-privs chroot --userspec="$user" "$root" "$@"
`

/** The volumes are what an engine makes of those of the image. */
async function makeGiven(): Promise<string> {
  const given = await mkdtemp(join(folder, 'given-'))
  await mkdir(join(given, 'etc/apostille'), { recursive: true })
  await writeFile(join(given, 'etc/apostille/apostille.yaml'), configuration)
  for (const volume of Object.keys(image.config.Volumes)) {
    await mkdir(dirname(join(given, volume)), { recursive: true })
    await runOk('cp', ['-a', join(image.root, volume), join(given, volume)])
  }
  return given
}

function commandIn(given: string, args: readonly string[], entry = image.config.Entrypoint): readonly string[] {
  const { Env, User } = image.config
  const environment = ['-i', ...Env, 'HOME=/home/nonroot']
  return [...environment, 'unshare', '--mount', 'sh', '-c', contained, 'sh', image.root, given, User, ...entry, ...args]
}

test('serve works with a read-only root, as no user of the host, where only its volumes can be written', async () => {
  const given = await makeGiven()
  const asked = (...args: readonly string[]) => runOk('env', commandIn(given, args))

  const node = image.config.Entrypoint.slice(0, 1)
  const tryToWrite = `for (const place of ['/opt/apostille/x', '/etc/apostille/x', '/tmp/x', '/home/nonroot/x'])
    try { require('node:fs').writeFileSync(place, ''); console.log(place) } catch ({ code }) { console.log(code) }
    console.log(process.getuid(), process.getgid(), process.getgroups().join())`
  expect(await runOk('env', commandIn(given, ['-e', tryToWrite], node))).toBe(
    `${'EROFS\n'.repeat(4)}65532 65532 65532\n`,
  )

  const serve = start(stack, 'env', commandIn(given, [...image.config.Cmd, '--output', 'json']))
  await serve.line(/\}\n$/)
  const { listen } = JSON.parse(serve.output().stdout) as { readonly listen: string }
  await asked('bundle', '--out', '/var/lib/apostille/ca.pem')
  await writeFile(join(given, 'etc/apostille/token'), await asked('join-token', 'create', 'first', '--name', 'web'))
  const server = ['--server', `https://localhost:${listen.split(':')[1]}`, '--ca-file', '/var/lib/apostille/ca.pem']
  const proof = ['--token-file', '/etc/apostille/token', '--audience', 'https://api.example.org']
  expect(await asked('svid', 'jwt', ...server, ...proof)).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/)
  expect(await asked('records', 'list')).toContain('spiffe://example.org/vm/web')
  await serve.end()

  expect(serve.output().stderr).toContain('"message":"stopped"')
  expect(serve.output().stderr).not.toMatch(/warning/i)
  const { uid, mode } = await stat(join(given, 'var/lib/apostille/seal.key'))
  expect({ uid, mode: mode & 0o777 }).toEqual({ uid: 65_532, mode: 0o600 })
})

test('it has Node and the package, and neither a shell nor a file that its user could change', async () => {
  const { User, Entrypoint, Cmd, Volumes } = image.config
  expect({ User, Cmd }).toEqual({ User: '65532:65532', Cmd: ['serve'] })
  expect(Entrypoint).toEqual(['/nodejs/bin/node', '/opt/apostille/dist/cli/main.js'])
  expect((await readdir(join(image.root, 'opt/apostille'))).sort()).toEqual([
    'LICENSE',
    'dist',
    'package.json',
    'schema',
  ])
  for (const name of ['sh', 'npm', 'env'])
    for (const place of ['bin', 'usr/bin', 'usr/local/bin'])
      await expect(stat(join(image.root, place, name))).rejects.toThrow('ENOENT')
  const files = await readdir(join(image.root, 'opt'), { recursive: true })
  for (const file of files) {
    const { uid, mode } = await stat(join(image.root, 'opt', file))
    expect({ file, uid, writable: mode & 0o022 }).toEqual({ file, uid: 0, writable: 0 })
  }
  for (const volume of Object.keys(Volumes)) expect(await stat(join(image.root, volume))).toMatchObject({ uid: 65_532 })
})
