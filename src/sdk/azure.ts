/**
 * Credentials for the Azure SDK for JavaScript.
 *
 * @see {@link https://learn.microsoft.com/javascript/api/@azure/core-auth/tokencredential Azure: TokenCredential}
 * @module
 */

import { freshUntil } from './fresh.ts'
import { createCredentialSource, type TargetOptions } from './fresh-client.ts'

/** An `AccessToken`. */
export interface AzureAccessToken {
  readonly token: string
  /** Milliseconds since 1970. */
  readonly expiresOnTimestamp: number
  readonly refreshAfterTimestamp: number
  readonly tokenType: 'Bearer'
}

/** A `TokenCredential`. */
export interface AzureCredential {
  readonly getToken: (scopes: string | string[], options?: AzureTokenOptions) => Promise<AzureAccessToken>
}

export interface AzureTokenOptions {
  readonly abortSignal?: AbortSignalLike
}

/** What Azure's libraries take for an `AbortSignal`. */
export interface AbortSignalLike {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/**
 * A `TokenCredential`, for the clients of Azure's services:
 *
 *     new SecretClient(vaultUrl, createAzureCredential({ server, target: 'payments-vault', token }))
 *
 * The scope is the target's: which one a client asks for is not looked at, and a service refuses a token that is for
 * another one. A workload that talks to two services has two targets, and a credential for each.
 *
 * @throws {ApostilleError} `usage`
 */
export function createAzureCredential(options: TargetOptions): AzureCredential {
  const source = createCredentialSource(options, 'azure')
  const now = options.now ?? (() => new Date())
  return {
    async getToken(_scopes, { abortSignal } = {}) {
      const { accessToken, expiresAt } = await unlessAborted(source(), abortSignal)
      return {
        token: accessToken,
        expiresOnTimestamp: expiresAt.getTime(),
        refreshAfterTimestamp: freshUntil({ expiresAt }, now()).getTime(),
        tokenType: 'Bearer',
      }
    },
  }
}

/** Who gives up does not end what others may wait for. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignalLike | undefined): Promise<T> {
  if (signal === undefined) return work
  const { promise, reject } = Promise.withResolvers<never>()
  const giveUp = () => reject(new DOMException('The operation was aborted.', 'AbortError'))
  if (signal.aborted) giveUp()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    return await Promise.race([promise, work])
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}
