/**
 * The table of sources, besides our own store.
 *
 * @module
 */
import type { SourceDocument } from '../../core/config-sources.ts'
import type { OpenedSource, OpenSource, SecretSource } from '../../core/secret-source.ts'
import { createDirectorySource, type DirectorySourceDeps } from './directory.node.ts'
import { createVaultSource, type VaultSourceDeps } from './vault.ts'

export type SourceDeps = VaultSourceDeps & DirectorySourceDeps

type Row<Type extends SourceDocument['type']> = (
  source: OpenedSource & { readonly document: Extract<SourceDocument, { type: Type }> },
  deps: SourceDeps,
) => SecretSource

const table: { readonly [Type in SourceDocument['type']]: Row<Type> } = {
  vault: createVaultSource,
  directory: createDirectorySource,
}

export function createOpenSource(deps: SourceDeps): OpenSource {
  return (source) =>
    (table[source.document.type] as (source: OpenedSource, deps: SourceDeps) => SecretSource)(source, deps)
}
