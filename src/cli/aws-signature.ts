/**
 * The signature that makes a request to STS a proof.
 *
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html SigV4}
 * @module
 */
import { createHmac } from 'node:crypto'
import { buildStringToSign, type PresignedIdentity, type UnsignedIdentity } from '../protocol/presigned-identity.ts'

/** @param audience Issuer of the gateway that may send the request. */
export function signIdentity(identity: UnsignedIdentity, audience: string, secretAccessKey: string): PresignedIdentity {
  const text = buildStringToSign(identity, audience)
  const [, , scope = ''] = text.split('\n')
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`)
  return { ...identity, signature: hmac(key, text).toString('hex') }
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
