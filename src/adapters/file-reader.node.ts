/**
 * Reads small files of the configuration.
 *
 * @module
 */
import { open, stat } from 'node:fs/promises'
import type { FileReader } from './watched-file.ts'

/** @param maxBytes Longest file that is read; 256 KiB by default. */
export function createFileReader(maxBytes = 256 * 1024): FileReader {
  return {
    async stamp(path) {
      // Follows links: a mounted volume is replaced by pointing a link elsewhere.
      const { ino, size, mtimeNs } = await stat(path, { bigint: true })
      return `${ino} ${size} ${mtimeNs}`
    },
    async read(path) {
      await using file = await open(path)
      const { bytesRead, buffer } = await file.read(new Uint8Array(maxBytes + 1), 0, maxBytes + 1)
      if (bytesRead > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`)
      return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, bytesRead))
    },
  }
}
