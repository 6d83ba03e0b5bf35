/**
 * What holds a private key: the one thing about signing that `protocol` does not do itself.
 *
 * @module
 */
import type { SignatureAlgorithm } from './algorithms.ts'

/**
 * Signs with one key and one algorithm.
 *
 * `sign` answers what `crypto.sign` and the key services answer: for ECDSA the DER form of (r, s), for RSA the plain
 * signature. It may answer at once; RSA keys and remote keys answer later, as they must not hold up the event loop.
 */
export interface Signer {
  readonly algorithm: SignatureAlgorithm
  /** The public half as SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  readonly sign: (data: Uint8Array) => Uint8Array | Promise<Uint8Array>
}
