/**
 * A folder in the temporary directory, written as the kubelet and others write theirs.
 *
 * @module
 */
import { mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TestMount extends AsyncDisposable {
  /** Without links. */
  readonly root: string
  /** Makes the folders on the way. */
  readonly put: (path: string, content?: string | Uint8Array) => Promise<void>
  /** @param to What the link says. */
  readonly link: (path: string, to: string) => Promise<void>
  readonly remove: (path: string) => Promise<void>
  /**
   * A volume as the kubelet writes it, or replaces it: files in a folder of this moment, `..data` that leads there, and a
   * link for each name; the former moment is removed.
   */
  readonly mount: (folder: string, files: Readonly<Record<string, string>>) => Promise<void>
}

export async function createTestMount(): Promise<TestMount> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'apostille-mount-')))
  const at = (path: string) => join(root, path)
  let moments = 0

  async function put(path: string, content: string | Uint8Array = 'text'): Promise<void> {
    await mkdir(join(at(path), '..'), { recursive: true })
    await writeFile(at(path), content)
  }

  async function mount(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
    const former = moments
    moments += 1
    const moment = `..2026_11_23_${moments}`
    for (const [path, text] of Object.entries(files)) await put(join(folder, moment, path), text)
    await symlink(moment, at(join(folder, '..data_tmp')))
    await rename(at(join(folder, '..data_tmp')), at(join(folder, '..data')))
    for (const name of new Set(Object.keys(files).map((path) => path.split('/', 1)[0] ?? '')))
      await symlink(join('..data', name), at(join(folder, name))).catch(() => {})
    await rm(at(join(folder, `..2026_11_23_${former}`)), { recursive: true, force: true })
  }

  return {
    root,
    put,
    mount,
    link: (path, to) => symlink(to, at(path)),
    remove: (path) => rm(at(path), { recursive: true }),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  }
}
