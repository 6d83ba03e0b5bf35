/**
 * Certificate requests. Apostille takes nothing from one but its public key, and the proof that we hold the private one:
 * names come from the identity rules.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc2986#section-4 RFC 2986 §4}
 * @module
 */
import { type KeyObject, sign } from 'node:crypto'

const sequenceTag = 0x30
const bitStringTag = 0x03
const attributesTag = 0xa0
const version0 = Buffer.of(0x02, 0x01, 0x00)
const ecdsaWithSha256 = der(sequenceTag, Buffer.from('06082a8648ce3d040302', 'hex'))

/** PEM, for a P-256 key. */
export function buildCertificateRequest(keys: {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}): string {
  const publicKeyInfo = keys.publicKey.export({ type: 'spki', format: 'der' })
  const info = der(sequenceTag, version0, der(sequenceTag), publicKeyInfo, der(attributesTag))
  const signature = der(bitStringTag, Buffer.of(0), sign('sha256', info, keys.privateKey))
  const lines =
    der(sequenceTag, info, ecdsaWithSha256, signature)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE REQUEST-----', ...lines, '-----END CERTIFICATE REQUEST-----', ''].join('\n')
}

/** Tag, length, value; up to 65,535 bytes. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts)
  const { length } = value
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), value])
}
