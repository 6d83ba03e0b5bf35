/**
 * Notices that something in a set of folders may have changed.
 *
 * Each folder is watched by itself: what the system offers for whole trees watches each file too, and does not follow links.
 *
 * @module
 */
import { type FSWatcher, watch } from 'node:fs'

export interface FolderWatchDeps {
  /** Called a moment after a change; answers which folders to watch from now on. Asked once at the start. */
  readonly look: () => Promise<readonly string[]>
  /** Told when the system does not let a folder be watched. */
  readonly lost: (error: unknown) => void
  /** From a change to the look, as one is rarely alone; 200 by default. */
  readonly settleMs?: number
}

/** Answers what ends it. A look that fails leaves the watched folders as they are. */
export function watchFolders({ look, lost, settleMs = 200 }: FolderWatchDeps): () => void {
  const watchers = new Map<string, FSWatcher>()
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let looking = false
  let again = false

  function noticed(): void {
    if (closed || timer !== undefined) return
    timer = setTimeout(() => {
      timer = undefined
      void lookOnce()
    }, settleMs)
  }

  /** One at a time: what changes meanwhile is looked at afterwards. */
  async function lookOnce(): Promise<void> {
    again = looking
    if (looking) return
    looking = true
    const folders = await look().catch(() => undefined)
    looking = false
    if (closed) return
    if (folders) renew(new Set(folders))
    if (again) noticed()
  }

  function renew(wanted: ReadonlySet<string>): void {
    for (const [folder, watcher] of watchers) if (!wanted.has(folder)) end(folder, watcher)
    for (const folder of wanted) if (!watchers.has(folder)) begin(folder)
  }

  function begin(folder: string): void {
    try {
      const watcher = watch(folder, noticed)
      watchers.set(folder, watcher)
      watcher.on('error', (error) => {
        end(folder, watcher)
        lost(error)
      })
    } catch (error) {
      lost(error)
    }
  }

  function end(folder: string, watcher: FSWatcher): void {
    watcher.close()
    watchers.delete(folder)
  }

  void lookOnce()
  return () => {
    closed = true
    clearTimeout(timer)
    for (const watcher of watchers.values()) watcher.close()
  }
}
