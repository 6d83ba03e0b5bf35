/**
 * The table of sources on Workers, besides our own store: there are no folders.
 *
 * @module
 */
import { type OpenSource, SourceError } from '../../core/secret-source.ts'
import { createVaultSource, type VaultSourceDeps } from './vault.ts'

export function createOpenSource(deps: VaultSourceDeps): OpenSource {
  return ({ document, ...source }) => {
    // Such a configuration is refused at start.
    if (document.type === 'directory')
      throw new SourceError('refused', 'a Worker has no folders', { code: 'directory' })
    return createVaultSource({ ...source, document }, deps)
  }
}
