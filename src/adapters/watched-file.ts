/**
 * A small file that others replace while this runs: keys, authorities, tokens.
 *
 * @module
 */

/** Port: what is needed of a file system. */
export interface FileReader {
  /** Changes whenever the file does. */
  readonly stamp: (path: string) => Promise<string>
  /** @throws for a file above the limit of the reader */
  readonly read: (path: string) => Promise<string>
}

export interface WatchedFile {
  /** As on disk, or at most a second older. @throws what the file system says */
  readonly read: () => Promise<string>
}

const checkEveryMs = 1000

export function createWatchedFile(
  path: string,
  deps: { readonly files: FileReader; readonly monotonicMs: () => number },
): WatchedFile {
  let held: { readonly stamp: string; readonly text: string; readonly checkedAtMs: number } | undefined

  async function read(): Promise<string> {
    const checkedAtMs = deps.monotonicMs()
    if (held !== undefined && checkedAtMs - held.checkedAtMs < checkEveryMs) return held.text
    // Before the text: a change between the two is seen at the next look.
    const stamp = await deps.files.stamp(path)
    const text = held?.stamp === stamp ? held.text : await deps.files.read(path)
    held = { stamp, text, checkedAtMs }
    return text
  }

  return { read }
}
