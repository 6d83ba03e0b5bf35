/**
 * Files that are replaced as a whole.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { open, rename, unlink } from 'node:fs/promises'

/** What a file gets, at once or piece by piece. */
export type FileContent = string | Uint8Array | AsyncIterable<Uint8Array>

/** Readers see the old file or the new one, never half of it. @param mode Exact, whatever the umask is. */
export async function replaceFile(path: string, content: FileContent, mode: number): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await writeDraft(draft, content, mode)
    await rename(draft, path)
  } catch (error) {
    await unlink(draft).catch(() => undefined)
    throw error
  }
}

async function writeDraft(draft: string, content: FileContent, mode: number): Promise<void> {
  await using file = await open(draft, 'wx', mode)
  await file.writeFile(content)
  await file.chmod(mode)
  await file.sync()
}
