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
      // Of what has no size, such as a pipe, a page or two at first; for one byte more there is room, to see the end.
      let bytes = new Uint8Array(Math.min(Math.max(size, sizelessBytes), maxBytes) + 1)
      let length = 0
      // A pipe gives what was written to it so far.
      for (;;) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length)
        if (bytesRead === 0) break
        length += bytesRead
        if (length > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`)
        if (length === bytes.length) bytes = new Uint8Array(bytes.buffer.transfer(Math.min(length * 2, maxBytes + 1)))
      }
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length))
    },
  }
}
