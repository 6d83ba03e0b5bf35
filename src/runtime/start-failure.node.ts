/**
 * Why a gateway did not start, in words for whoever started it.
 *
 * @module
 */
import { ConfigurationError, type Diagnostic } from '../core/config.ts'
import { SealError } from '../core/key-manager.ts'
import { Refusal } from '../core/refusal.ts'
import { StoreError } from '../core/store.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { DocumentError } from './document-error.ts'
import { ListenError } from './listener.node.ts'
import { SealKeyError } from './seal-key.node.ts'

export interface StartFailure {
  /** Stable: what kind of thing it is. */
  readonly code: 'configuration' | 'store' | 'seal_key' | 'listen' | 'file' | 'authority'
  /** What is wrong and what to do about it. */
  readonly message: string
  /** Everything that is wrong with the configuration. */
  readonly diagnostics?: readonly Diagnostic[]
}

/** `undefined` for what nobody foresaw: a bug. */
export function explainStartFailure(error: unknown): StartFailure | undefined {
  if (error instanceof ConfigurationError)
    return { code: 'configuration', message: error.message, diagnostics: error.diagnostics }
  if (error instanceof DocumentError) return { code: 'configuration', message: error.message }
  if (error instanceof StoreError) return { code: 'store', message: error.message }
  if (error instanceof SealKeyError || error instanceof SealError) return { code: 'seal_key', message: error.message }
  if (error instanceof ListenError) return { code: 'listen', message: error.message }
  if (error instanceof Refusal) return { code: 'authority', message: `${error.message}: ${error.reason}` }
  if (error instanceof ProtocolError)
    return {
      code: 'authority',
      message: `a certificate or key that the configuration names is not usable (${error.message})`,
    }
  return explainFileError(error)
}

function explainFileError(error: unknown): StartFailure | undefined {
  const { code, path, syscall } = (error ?? {}) as NodeJS.ErrnoException
  if (code?.startsWith('ERR_OSSL_') || code?.startsWith('ERR_TLS_'))
    return {
      code: 'file',
      message: `the certificate and key of listen.tls do not go together or are not PEM (${code})`,
    }
  if (path === undefined || code === undefined || syscall === undefined) return undefined
  return {
    code: 'file',
    message: `cannot ${syscall} ${path} (${code}): make it there and readable for this user, or name another in the configuration`,
  }
}
