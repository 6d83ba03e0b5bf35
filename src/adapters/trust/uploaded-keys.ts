/**
 * The key set of an issuer as Google takes it by upload, where it can not fetch it.
 *
 * @see {@link https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers#manage-oidc-keys Uploaded keys}
 * @module
 */
import type { SignatureAlgorithm } from '../../protocol/algorithms.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { type KeySet, parseKeySet } from '../../protocol/key-set.ts'

export interface UploadedKeys {
  /** A JWK Set with the members that Google takes and no others. Plain JSON. */
  readonly document: { readonly keys: readonly Readonly<Record<string, unknown>>[] }
  readonly algorithms: ReadonlySet<SignatureAlgorithm>
}

/**
 * @param text As the issuer serves it at `/keys`.
 * @throws {ProtocolError} `json`, `jwk` where a key is missing, has no `kid` or can not verify
 */
export function readUploadedKeys(text: string): UploadedKeys {
  const { keys, leftOut }: KeySet = parseKeySet(text)
  if (keys.length === 0 || leftOut > 0) throw new ProtocolError('jwk', 'not every key of the set verifies signatures')
  return {
    document: {
      keys: keys.map(({ kid, algorithm, jwk: { kty, crv, x, y, n, e } }) => {
        if (kid === undefined) throw new ProtocolError('jwk', 'a key of the set has no kid')
        const parameters = kty === 'EC' ? { crv, x, y } : { n, e }
        return { kid, kty, alg: algorithm, use: 'sig', ...parameters }
      }),
    },
    algorithms: new Set(keys.map(({ algorithm }) => algorithm)),
  }
}
