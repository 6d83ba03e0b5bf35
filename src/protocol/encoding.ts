/**
 * Text forms of bytes: base64url, base64, hex and PEM, each with one accepted spelling.
 *
 * Decoders refuse what `Buffer.from` silently skips (padding where none belongs, white space, characters of the other
 * alphabet, bits left over in the last character), as two spellings of one token would be two tokens to a cache and to
 * a revocation list. Writing the bytes again and comparing finds every one of these.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc4648 RFC 4648}
 * @see {@link https://www.rfc-editor.org/rfc/rfc7468 RFC 7468}
 * @module
 */
import { Buffer } from 'node:buffer'
import { ProtocolError } from './errors.ts'

export function formatBase64Url(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64url')
}

/** @throws {ProtocolError} `encoding` for padding, foreign characters, or a spelling that would not be written so */
export function parseBase64Url(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text)
    throw new ProtocolError('encoding', 'not canonical base64url without padding')
  return bytes
}

export function formatBase64(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64')
}

/** @throws {ProtocolError} `encoding` for missing padding, white space, or a spelling that would not be written so */
export function parseBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw new ProtocolError('encoding', 'not canonical base64 with padding')
  return bytes
}

/** Lower case, two digits a byte. */
export function formatHex(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('hex')
}

/** @throws {ProtocolError} `encoding` for upper case or an odd number of digits */
export function parseHex(text: string): Buffer {
  const bytes = Buffer.from(text, 'hex')
  if (bytes.toString('hex') !== text) throw new ProtocolError('encoding', 'not lower-case hex')
  return bytes
}

// Neither label nor body may hold what begins the next boundary, so that matching is linear.
const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n([^-]*)-----END \1-----/g

/** One block of `label` (such as `CERTIFICATE`), lines of 64 characters, ending in a line feed. */
export function formatPem(label: string, der: Uint8Array): string {
  const base64 = formatBase64(der)
  let lines = ''
  for (let at = 0; at < base64.length; at += 64) lines += `${base64.slice(at, at + 64)}\n`
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`
}

/**
 * The DER of every block of `label`, in order; text between blocks and blocks of other labels are passed over.
 *
 * @throws {ProtocolError} `pem` when there is no such block, or one is cut off, empty or not base64: a chain is never read
 * shorter than it was written
 */
export function parsePem(label: string, text: string): readonly Buffer[] {
  const begun = text.split(`-----BEGIN ${label}-----`).length - 1
  const blocks: Buffer[] = []
  for (const [, found, body] of text.matchAll(pemBlock)) {
    if (found === label) blocks.push(parsePemBody(label, body ?? ''))
  }
  if (begun === 0) throw new ProtocolError('pem', `no ${label} block`)
  if (blocks.length !== begun) throw new ProtocolError('pem', `a ${label} block has no proper end`)
  return blocks
}

function parsePemBody(label: string, body: string): Buffer {
  const base64 = body.replace(/[ \t]*\r?\n/g, '')
  if (base64 === '') throw new ProtocolError('pem', `a ${label} block is empty`)
  try {
    return parseBase64(base64)
  } catch (cause) {
    throw new ProtocolError('pem', `a ${label} block is not base64`, { cause })
  }
}

/** The same memory as a Buffer: no copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
