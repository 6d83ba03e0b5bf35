/**
 * Reads small files of the configuration.
 *
 * @module
 */
import { open, stat } from 'node:fs/promises'
import type { FileReader } from './watched-file.ts'

const sizelessBytes = 8192

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
      const { size } = await file.stat()
      // Of what has no size, such as a pipe, a page or two; for one byte more there is room, to see that there is more.
      const room = Math.min(Math.max(size, sizelessBytes), maxBytes) + 1
      const { bytesRead, buffer } = await file.read(new Uint8Array(room), 0, room)
      if (bytesRead > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`)
      if (bytesRead === room) throw new Error('it grew while it was read')
      return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, bytesRead))
    },
  }
}
