/**
 * Builds the Containerfile with buildah. Its base images are of registries, so those of a test are made of this machine's files
 * and carry their names: one with Node, npm and a shell, and one with Node and what it links to.
 *
 * @module
 */
import { cp, mkdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runOk } from './command.ts'
import { part } from './parts.ts'

const root = join(import.meta.dirname, '../../..')
const containerfile = join(root, 'deploy/Containerfile')

export interface Image {
  /** Its root file system. */
  readonly root: string
  readonly config: ImageConfig
}

/** As the image says it. */
export interface ImageConfig {
  readonly User: string
  readonly Env: readonly string[]
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly WorkingDir: string
  readonly Volumes: Readonly<Record<string, unknown>>
}

const deadlineMs = 10 * 60_000

/** For root only. What it makes in `folder` goes with the stack. */
export async function buildImage(stack: AsyncDisposableStack, folder: string): Promise<Image> {
  const program = await part('debian-program.sh', 'buildah', 'buildah')
  const storage = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run')]
  const buildah = async (...args: readonly string[]) =>
    (await runOk(program, [...storage, ...args], { cwd: root, deadlineMs })).trim()

  const [building, serving] = [...(await readFile(containerfile, 'utf8')).matchAll(/^FROM (\S+)/gm)]
  const bases = [
    { name: building?.[1] ?? '', folder: await makeBuildingBase(join(folder, 'building')), flags: [] },
    { name: serving?.[1] ?? '', folder: await makeServingBase(join(folder, 'serving')), flags: ['--user', '65532'] },
  ]
  for (const base of bases) {
    const container = await buildah('from', 'scratch')
    await buildah('add', '--quiet', container, base.folder, '/')
    if (base.flags.length > 0) await buildah('config', ...base.flags, container)
    await buildah('commit', '--quiet', '--rm', container, base.name)
  }

  const cache = ['--volume', `${await npmSetting('cache')}:/root/.npm`]
  await buildah(
    'bud',
    '--isolation',
    'chroot',
    '--pull-never',
    ...cache,
    '--file',
    containerfile,
    '--tag',
    'apostille',
    '.',
  )
  const container = await buildah('from', '--pull-never', 'localhost/apostille')
  const mounted = await buildah('mount', container)
  stack.defer(async () => void (await buildah('umount', '--all')))
  const { OCIv1 } = JSON.parse(await buildah('inspect', '--type', 'image', 'localhost/apostille')) as {
    readonly OCIv1: { readonly config: ImageConfig }
  }
  return { root: mounted, config: OCIv1.config }
}

async function makeBuildingBase(folder: string): Promise<string> {
  await addProgram(folder, process.execPath, '/usr/local/bin/node')
  for (const name of ['sh', 'env', 'mkdir']) {
    const file = (await runOk('sh', ['-c', `command -v ${name}`])).trim()
    await addProgram(folder, await realpath(file), name === 'env' ? '/usr/bin/env' : `/bin/${name}`)
  }
  const npm = dirname(dirname(await realpath((await runOk('sh', ['-c', 'command -v npm'])).trim())))
  await cp(npm, join(folder, 'usr/local/lib/node_modules/npm'), { recursive: true })
  await writeFile(
    join(folder, 'usr/local/bin/npm'),
    '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n',
    { mode: 0o755 },
  )
  // What this machine's npm asks, and whom it trusts.
  const settings = [`registry=${await npmSetting('registry')}`, 'prefer-offline=true']
  const authorities = await npmSetting('cafile')
  if (authorities !== 'null') {
    await cp(authorities, join(folder, 'etc/authorities.pem'))
    settings.push('cafile=/etc/authorities.pem')
  }
  await mkdir(join(folder, 'usr/local/etc'), { recursive: true })
  await writeFile(join(folder, 'usr/local/etc/npmrc'), `${settings.join('\n')}\n`)
  return addUsers(folder)
}

async function makeServingBase(folder: string): Promise<string> {
  await addProgram(folder, process.execPath, '/nodejs/bin/node')
  await mkdir(join(folder, 'home/nonroot'), { recursive: true })
  return addUsers(folder)
}

async function addUsers(folder: string): Promise<string> {
  for (const name of ['etc', 'tmp', 'proc', 'dev', 'root']) await mkdir(join(folder, name), { recursive: true })
  await writeFile(
    join(folder, 'etc/passwd'),
    'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n',
  )
  await writeFile(join(folder, 'etc/hosts'), '127.0.0.1 localhost\n')
  return folder
}

/** A program and the libraries that it is linked with, where the loader looks for them. */
async function addProgram(folder: string, file: string, place: string): Promise<void> {
  await cp(await realpath(file), join(folder, place), { recursive: true })
  const libraries = (await runOk('ldd', [file])).matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)
  for (const [, library = ''] of libraries) await cp(await realpath(library), join(folder, library))
}

async function npmSetting(name: string): Promise<string> {
  return (await runOk('npm', ['config', 'get', name])).trim()
}
