/**
 * Files that are replaced as a whole.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { link, open, rename, unlink } from 'node:fs/promises'

/** What a file gets, at once or piece by piece. */
export type FileContent = string | Uint8Array | AsyncIterable<Uint8Array>

/** A file and what it gets. */
export interface Replacement {
  readonly path: string
  readonly content: FileContent
  /** Exact, whatever the umask is. */
  readonly mode: number
}

/** Readers see the old file or the new one, never half of it. @param mode Exact, whatever the umask is. */
export async function replaceFile(path: string, content: FileContent, mode: number): Promise<void> {
  await replaceFiles([{ path, content, mode }])
}

/**
 * Replaces files that belong together: all are written before the first takes its place, so that only a stop between
 * renames leaves some old and some new.
 */
export async function replaceFiles(files: readonly Replacement[]): Promise<void> {
  const drafts = files.map((file) => ({ ...file, draft: draftOf(file.path) }))
  try {
    for (const { draft, content, mode } of drafts) await writeDraft(draft, content, mode)
    for (const { draft, path } of drafts) await rename(draft, path)
  } catch (error) {
    for (const { draft } of drafts) await unlink(draft).catch(() => undefined)
    throw error
  }
}

/**
 * Makes a file that is not there yet, as a whole. Rejects with `EEXIST` where there is one, which stays as it is.
 *
 * @param mode Exact, whatever the umask is.
 */
export async function createFile(path: string, content: FileContent, mode: number): Promise<void> {
  const draft = draftOf(path)
  try {
    await writeDraft(draft, content, mode)
    await link(draft, path)
  } finally {
    await unlink(draft).catch(() => undefined)
  }
}

function draftOf(path: string): string {
  return `${path}.${randomBytes(6).toString('hex')}.tmp`
}

async function writeDraft(draft: string, content: FileContent, mode: number): Promise<void> {
  await using file = await open(draft, 'wx', mode)
  await file.writeFile(content)
  await file.chmod(mode)
  await file.sync()
}
