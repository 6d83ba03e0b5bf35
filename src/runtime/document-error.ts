/**
 * A document of the configuration, or a file that it names, that can not be read at all.
 *
 * @module
 */

export class DocumentError extends Error {
  override readonly name = 'DocumentError'

  /** Whether there is no file at that path. */
  get missing(): boolean {
    return (this.cause as { readonly code?: string } | undefined)?.code === 'ENOENT'
  }
}
