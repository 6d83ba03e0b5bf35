/**
 * Port: private keys and secrets that the store may hold, because only their sealed form is stored.
 *
 * @module
 */
import type { SignatureAlgorithm } from '../protocol/algorithms.ts'
import type { Signer } from '../protocol/signer.ts'

/** A new key pair: the private half sealed, the public half as SubjectPublicKeyInfo, DER. */
export interface SealedKey {
  readonly sealed: string
  readonly publicKey: Uint8Array
}

/**
 * `name` says what a key is for (such as `authority/x509/3f…`) and is bound to the sealed form: one that is opened
 * under another name, another trust domain or another seal key is refused.
 */
export interface KeyManager {
  readonly createKey: (name: string, algorithm: SignatureAlgorithm) => Promise<SealedKey>
  /** @throws {SealError} when it can not be opened */
  readonly openKey: (name: string, algorithm: SignatureAlgorithm, sealed: string) => Promise<Signer>
  /** 32 random bytes, sealed. */
  readonly createSecret: (name: string) => Promise<string>
  /** @throws {SealError} when it can not be opened */
  readonly openSecret: (name: string, sealed: string) => Promise<Uint8Array>
  /** Seals what is given, and wipes it. */
  readonly sealBytes: (name: string, plaintext: Uint8Array) => Promise<string>
  /** @throws {SealError} when it can not be opened */
  readonly openBytes: (name: string, sealed: string) => Promise<Uint8Array>
}

/** A sealed key or secret that this seal key does not open: the wrong key, or bytes that were changed. */
export class SealError extends Error {
  override readonly name = 'SealError'
}
