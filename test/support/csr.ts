/**
 * Certificate requests, right or wrong.
 *
 * @module
 */
import { sign } from 'node:crypto'
import { contextTag, tags } from '../../src/protocol/der.ts'
import { derBitString, derInteger, derNode, formatDer } from '../../src/protocol/der-writer.ts'
import { organizationName } from '../../src/protocol/distinguished-name.ts'
import { formatPem } from '../../src/protocol/encoding.ts'
import { makeTestKey, type TestKey } from './certificate-authority.ts'

const ecdsaWithSha256 = Buffer.from('300a06082a8648ce3d040302', 'hex')
const rsaWithSha256 = Buffer.from('300d06092a864886f70d01010b0500', 'hex')

/** DER. `signedBy` is the key itself unless the request is to be a lie. */
export function makeCsr(key: TestKey, signedBy: TestKey = key): Buffer {
  const attributes = derNode(contextTag(0, 'constructed'))
  const subject = organizationName('Ignored')
  const info = formatDer(derNode(tags.sequence, derInteger(Buffer.of(0)), subject, key.publicKeyInfo, attributes))
  const algorithm = signedBy.signer.algorithm === 'RS256' ? rsaWithSha256 : ecdsaWithSha256
  return formatDer(derNode(tags.sequence, info, algorithm, derBitString(sign('sha256', info, signedBy.privateKey))))
}

export interface Workload {
  readonly key: TestKey
  /** PEM. */
  readonly privateKey: string
  readonly csr: string
}

/** A workload's own key and its request. */
export function makeWorkload(): Workload {
  const key = makeTestKey()
  return {
    key,
    privateKey: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    csr: formatPem('CERTIFICATE REQUEST', makeCsr(key)),
  }
}
