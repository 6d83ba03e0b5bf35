/**
 * The files that a configuration document names, and where in it.
 *
 * @module
 */
import type { Configuration, Diagnostic } from '../core/config.ts'
import type { ConfiguredPeer } from '../core/config-federation.ts'
import { type ConfigurationSource, readSource } from '../core/config-source.ts'
import { storeFiles } from '../core/config-store.ts'
import { destinationsOf, sourcesOf } from '../core/sync.ts'

type Path = readonly (string | number)[]

/** A file that the document names. */
export interface NamedFile {
  readonly at: Path
  readonly path: string
}

/** Every file that is read while it runs, but for the seal key and the file of an SQLite store. */
export function namedFiles({
  listen,
  store,
  authorities,
  authenticators,
  federation,
  targets,
  syncs,
}: Configuration): readonly NamedFile[] {
  const tls = typeof listen.tls === 'string' ? [] : filesOf(['listen', 'tls'], listen.tls)
  const upstream = authorities.x509.upstream
    ? filesOf(['authorities', 'x509', 'upstream'], authorities.x509.upstream)
    : []
  const ofAuthenticators = [...authenticators].flatMap(([name, config]) => fileKeys(['authenticators', name], config))
  const ofTargets = [...targets].flatMap(([name, { document }]) =>
    document.ca_file === undefined ? [] : filesOf(['targets', name], { ca_file: document.ca_file }),
  )
  const ofSources = [...sourcesOf(syncs)].flatMap(([name, source]) => fileKeys(['sources', name], source))
  const ofDestinations = [...destinationsOf(syncs)].flatMap(([name, there]) => fileKeys(['destinations', name], there))
  const ofStore = Object.values(storeFiles(store)).map((path) => ({ at: ['store'], path }))
  const ofPeers = federation.flatMap(filesOfPeer)
  return [
    ...tls,
    ...ofStore,
    ...upstream,
    ...ofAuthenticators,
    ...ofTargets,
    ...ofSources,
    ...ofDestinations,
    ...ofPeers,
  ]
}

function filesOfPeer({ trustDomain, bundleFile, endpoint }: ConfiguredPeer): readonly NamedFile[] {
  const caFile = endpoint?.profile === 'https_web' ? endpoint.caFile : undefined
  const files = {
    ...(bundleFile !== undefined && { bundle: bundleFile }),
    ...(caFile !== undefined && { ca_file: caFile }),
  }
  return filesOf(['federation', trustDomain], files)
}

function filesOf(at: Path, files: Readonly<Record<string, string>>): readonly NamedFile[] {
  return Object.entries(files).map(([key, path]) => ({ at: [...at, key], path }))
}

/** Keys that name files end in `_file`, at any depth. */
function fileKeys(at: Path, value: object): readonly NamedFile[] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]): readonly NamedFile[] => {
    if (key.endsWith('_file') && typeof inner === 'string') return [{ at: [...at, key], path: inner }]
    return typeof inner === 'object' && inner !== null ? fileKeys([...at, key], inner) : []
  })
}

/** Where in the document something stands. It is read once more for that, and of most there is nothing to be told. */
export function createLocator(text: string, severity: Diagnostic['severity']) {
  let source: ConfigurationSource | undefined
  return (path: Path, message: string): Diagnostic => {
    source ??= readSource(text)
    return { ...source.locate({ path, message }), severity }
  }
}
