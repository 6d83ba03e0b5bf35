/**
 * The package as `npm pack` makes it, in a copy of the project: other tests may be reading the project's own `dist`.
 *
 * @module
 */
import { cp, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from './cleanup.ts'
import { runOk } from './command.ts'

const root = join(import.meta.dirname, '../../..')

export interface Packed {
  readonly tarball: string
  /** In bytes, packed and unpacked. */
  readonly size: number
  readonly unpackedSize: number
  /** Paths as they are in the package; `mode` without the kind of file. */
  readonly files: readonly { readonly path: string; readonly size: number; readonly mode: number }[]
}

/** What a build and a package are made of; tests and benches are not. */
const needed = [
  ...['src', 'scripts', 'schema', 'docs', 'deploy', 'examples'],
  ...['package.json', 'package-lock.json', '.npmrc', 'tsconfig.json', 'tsconfig.build.json', 'biome.json'],
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', '.gitignore'],
]

/** A copy of the project without its tests, with a link to what is installed. */
export async function copyProject(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const name of needed) await cp(join(root, name), join(folder, name), { recursive: true })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
}

export async function packProject(stack: AsyncDisposableStack): Promise<Packed> {
  const folder = await makeFolder(stack)
  const project = join(folder, 'project')
  await copyProject(project)
  const said = await runOk('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: project,
    deadlineMs: 180_000,
  })
  const [packed] = JSON.parse(said.slice(said.indexOf('[\n'))) as [Packed & { readonly filename: string }]
  return { ...packed, tarball: join(folder, packed.filename) }
}
