/**
 * CRC-32C, by which Secret Manager finds a payload that did not arrive as it was sent.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4 RFC 3720, appendix B.4}
 * @module
 */

/** Of Castagnoli, bits reversed. */
const polynomial = 0x82_f6_3b_78

function makeTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    return crc
  })
}

let table: Uint32Array | undefined

export function computeCrc32c(bytes: Uint8Array): number {
  table ??= makeTable()
  let crc = 0xff_ff_ff_ff
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] ?? 0)
  return (crc ^ 0xff_ff_ff_ff) >>> 0
}
