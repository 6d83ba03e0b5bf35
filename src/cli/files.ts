/**
 * Files that flags name: read, and replaced as a whole.
 *
 * @module
 */
import { mkdir, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { text as readStream } from 'node:stream/consumers'
import { type FileContent, type Replacement, replaceFile, replaceFiles } from '../runtime/replace-file.node.ts'
import { CliError } from './cli-error.ts'

/** `-` is standard input. @param what Such as `the token`. @throws {CliError} `file` */
export async function readTextFile(path: string, what: string): Promise<string> {
  try {
    return path === '-' ? await readStream(process.stdin) : await readFile(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'this user may not read it' : code
    throw new CliError(`cannot read ${what} from ${path}: ${why}`, { code: 'file', cause })
  }
}

/** 0600 for what holds a secret, 0644 for what everybody may read. @throws {CliError} `file` */
export async function writeFileWhole(path: string, content: FileContent, mode: 0o600 | 0o644): Promise<void> {
  await translateFileError(path, () => replaceFile(path, content, mode))
}

/** Files of one folder that belong together: all are written before the first is replaced. @throws {CliError} `file` */
export async function writeFilesWhole(folder: string, files: readonly Replacement[]): Promise<void> {
  await translateFileError(folder, () => replaceFiles(files))
}

/** @throws {CliError} `file` */
export async function makeFolder(path: string): Promise<void> {
  await translateFileError(path, () => makeFolders(path))
}

/** Node's own `recursive` never ends below a folder that is there and takes none, such as `/proc`. */
async function makeFolders(path: string): Promise<void> {
  if (await isFolder(path)) return
  const parent = dirname(path)
  if (parent !== path) await makeFolders(parent)
  try {
    await mkdir(path)
  } catch (error) {
    // Somebody else may have been faster.
    if (!(await isFolder(path))) throw error
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

/** @throws {CliError} `file` for what the file system says */
export async function translateFileError<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof CliError) throw cause
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException
    const why = { ENOENT: 'its folder is not there', EACCES: 'this user may not write there' }[code] ?? code
    throw new CliError(`cannot write ${path}: ${why}`, { code: 'file', cause })
  }
}
