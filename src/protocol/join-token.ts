/**
 * Join tokens: a secret of 32 bytes in a form that scanners of leaked secrets find and that a typing error cannot become.
 *
 * `apo_join_`, 43 characters of the secret and 6 of its CRC-32, both in base 62 with leading zeros:
 * `/\bapo_join_[0-9A-Za-z]{49}\b/`. The checksum tells a token from a look-alike without asking anybody; it protects nothing.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { ProtocolError } from './errors.ts'

export const joinTokenPrefix = 'apo_join_'

const secretBytes = 32
const secretLength = 43 // 62^43 is just above 2^256
const checksumLength = 6
const pattern = /^apo_join_[0-9A-Za-z]{49}$/
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const base = 62n

/**
 * @param secret 32 random bytes.
 * @throws {ProtocolError} `join_token` for any other length
 */
export function formatJoinToken(secret: Uint8Array): string {
  if (secret.length !== secretBytes) throw new ProtocolError('join_token', `not ${secretBytes} bytes`)
  const text = formatBase62(BigInt(`0x${Buffer.from(secret).toString('hex')}`), secretLength)
  return `${joinTokenPrefix}${text}${formatChecksum(text)}`
}

/**
 * The secret of a token.
 *
 * @throws {ProtocolError} `join_token` for anything that {@link formatJoinToken} does not make
 */
export function parseJoinToken(token: string): Buffer {
  if (!pattern.test(token)) throw new ProtocolError('join_token', 'not of its form')
  const text = token.slice(joinTokenPrefix.length, -checksumLength)
  if (formatChecksum(text) !== token.slice(-checksumLength)) throw new ProtocolError('join_token', 'checksum')
  const secret = parseBase62(text)
    .toString(16)
    .padStart(2 * secretBytes, '0')
  if (secret.length > 2 * secretBytes) throw new ProtocolError('join_token', 'out of range')
  return Buffer.from(secret, 'hex')
}

/** SHA-256 of a token's text, under which it is stored. @throws {ProtocolError} as {@link parseJoinToken} */
export function digestJoinToken(token: string): Buffer {
  parseJoinToken(token)
  return createHash('sha256').update(token, 'latin1').digest()
}

function formatChecksum(text: string): string {
  return formatBase62(BigInt(crc32(Buffer.from(text, 'latin1'))), checksumLength)
}

function formatBase62(value: bigint, length: number): string {
  let text = ''
  for (let rest = value; rest > 0n; rest /= base) text = `${digits[Number(rest % base)]}${text}`
  return text.padStart(length, '0')
}

function parseBase62(text: string): bigint {
  let value = 0n
  for (const digit of text) value = value * base + BigInt(digits.indexOf(digit))
  return value
}

/** As zlib and Ethernet have it: polynomial 0xEDB88320, reflected. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1))
  }
  return ~crc >>> 0
}
