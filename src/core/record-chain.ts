/**
 * The chain that records stand in: each holds an HMAC over itself and the one before, and signed heads say where the
 * chain stood at a moment.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { createHmac, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { verifySignature } from '../protocol/algorithms.ts'
import { asBuffer, formatBase64Url, formatHex, parseBase64Url, parseHex } from '../protocol/encoding.ts'
import type { Signer } from '../protocol/signer.ts'
import type { StoredHead } from './store.ts'

/** What one link covers, besides the secret. */
export interface ChainLink {
  /** Empty for the first record of a chain. */
  readonly previousMac: Uint8Array
  readonly chain: string
  readonly sequence: number
  readonly at: Date
  readonly body: string
}

/** Up to where a chain goes: everything up to `sequence` has this `mac`. Sequence 0 and an empty mac before its first record. */
export interface ChainEnd {
  readonly sequence: number
  readonly mac: Uint8Array
}

export const chainStart: ChainEnd = { sequence: 0, mac: new Uint8Array() }

/** @param key 32 bytes */
export function createMacKey(key: Uint8Array): KeyObject {
  return createSecretKey(asBuffer(key))
}

/**
 * HMAC-SHA256 over the previous mac, chain, sequence, time and body, each of variable length headed by its length, so
 * that no two links are the same bytes.
 */
export function linkRecord(key: KeyObject, link: ChainLink): Buffer {
  return createHmac('sha256', key).update(linkHeader(link)).update(link.body).digest()
}

function linkHeader({ previousMac, chain, sequence, at, body }: ChainLink): Buffer {
  const chainBytes = Buffer.byteLength(chain)
  const header = Buffer.allocUnsafe(4 + previousMac.length + 4 + chainBytes + 8 + 8 + 4)
  let next = header.writeUInt32BE(previousMac.length)
  header.set(previousMac, next)
  next = header.writeUInt32BE(chainBytes, next + previousMac.length)
  next += header.write(chain, next)
  next = writeUInt64(header, sequence, next)
  next = writeUInt64(header, at.getTime(), next)
  header.writeUInt32BE(Buffer.byteLength(body), next)
  return header
}

/** A whole number from 0 to 2^53 − 1, without the cost of a BigInt. */
function writeUInt64(target: Buffer, value: number, at: number): number {
  return target.writeUInt32BE(value % 0x1_0000_0000, target.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at))
}

export type UnsignedHead = Omit<StoredHead, 'signature'>

/** What is signed of a head: one text for each, whatever is in the names. */
function headText(trustDomain: string, head: UnsignedHead): Buffer {
  const { chain, sequence, mac, at, kind } = head
  const parts = ['apostille record head v1', trustDomain, chain, sequence, formatHex(mac), at.toISOString(), kind]
  return Buffer.from(JSON.stringify(parts))
}

/** @param signer The record key, ES256. */
export async function signHead(signer: Signer, trustDomain: string, head: UnsignedHead): Promise<StoredHead> {
  return { ...head, signature: await signer.sign(headText(trustDomain, head)) }
}

export function verifyHead(recordKey: KeyObject, trustDomain: string, head: StoredHead): boolean {
  return verifySignature('ES256', recordKey, headText(trustDomain, head), head.signature)
}

/** @param publicKey SubjectPublicKeyInfo, DER */
export function readRecordKey(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: asBuffer(publicKey), format: 'der', type: 'spki' })
}

/** A signed head as it is shown and exported. */
export interface HeadDocument {
  readonly chain: string
  readonly sequence: number
  readonly time: string
  /** Lower-case hex. */
  readonly mac: string
  readonly kind: 'head' | 'checkpoint'
  /** ECDSA, DER, base64url. */
  readonly signature: string
}

export function formatHead(head: StoredHead): HeadDocument {
  return {
    chain: head.chain,
    sequence: head.sequence,
    time: head.at.toISOString(),
    mac: formatHex(head.mac),
    kind: head.kind,
    signature: formatBase64Url(head.signature),
  }
}

/** @throws {ProtocolError} `encoding` for a mac or signature that is not spelled as {@link formatHead} does */
export function readHead(document: HeadDocument): StoredHead {
  return {
    chain: document.chain,
    sequence: document.sequence,
    at: new Date(document.time),
    mac: parseHex(document.mac),
    kind: document.kind,
    signature: parseBase64Url(document.signature),
  }
}
