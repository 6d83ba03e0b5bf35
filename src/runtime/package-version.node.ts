/**
 * Which version of the package this is.
 *
 * @module
 */
import { readFileSync } from 'node:fs'

/** The file is two folders above the sources, and above the bundle. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string
  }
  return version
}
