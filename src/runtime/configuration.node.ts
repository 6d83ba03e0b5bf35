/**
 * The configuration document on disk: read, with its paths made absolute, and watched.
 *
 * @module
 */
import { watch } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { type Configuration, parseConfiguration } from '../core/config.ts'
import type { SourceDocument } from '../core/config-sources.ts'
import type { ListenAddress } from '../core/listen-address.ts'
import type { Sync } from '../core/sync.ts'
import { DocumentError } from './document-error.ts'

/** The longest document that is read. */
const maxDocumentBytes = 16 * 1024 * 1024

/**
 * @throws {ConfigurationError} with every mistake in it
 * @throws {DocumentError} when there is no such file, or it can not be read
 */
export async function loadConfiguration(file: string): Promise<Configuration> {
  return absolutePaths(parseConfiguration(await readDocument(file)), dirname(resolve(file)))
}

export async function readDocument(file: string): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size > maxDocumentBytes)
      throw new DocumentError(`${file} has ${size} bytes: at most ${maxDocumentBytes} are read`)
    return decode(file, await readFile(file))
  } catch (cause) {
    if (cause instanceof DocumentError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT')
      throw new DocumentError(`there is no configuration at ${file}: name one with --config FILE`, { cause })
    throw new DocumentError(`${file} can not be read: ${code ?? 'unknown error'}`, { cause })
  }
}

function decode(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new DocumentError(`${file} can not be read: it is not UTF-8`, { cause })
  }
}

/** Relative paths of a document start at its own folder, whatever the working directory is. */
function absolutePaths(config: Configuration, folder: string): Configuration {
  const at = (path: string) => resolve(folder, path)
  const address = (listen: ListenAddress): ListenAddress =>
    listen.kind === 'unix' ? { kind: 'unix', path: at(listen.path) } : listen
  const { listen, admin, metrics, bundle_endpoint, store, seal, authorities } = config
  const { tls } = listen
  const { upstream } = authorities.x509
  return {
    ...config,
    listen: {
      ...listen,
      address: address(listen.address),
      tls: typeof tls === 'string' ? tls : { certificate: at(tls.certificate), key: at(tls.key) },
    },
    admin: { ...admin, listen: address(admin.listen) },
    ...(metrics && { metrics: { ...metrics, listen: address(metrics.listen) } }),
    ...(bundle_endpoint && { bundle_endpoint: { ...bundle_endpoint, address: address(bundle_endpoint.address) } }),
    store: absoluteStore(store, at),
    seal: absoluteSeal(seal, at),
    authorities: {
      ...authorities,
      x509: {
        ...authorities.x509,
        ...(upstream && {
          upstream: { certificate: at(upstream.certificate), key: at(upstream.key), bundle: at(upstream.bundle) },
        }),
      },
    },
    authenticators: new Map(
      [...config.authenticators].map(([name, authenticator]) => [name, absoluteFiles(authenticator, at)]),
    ),
    federation: config.federation.map((peer) => absoluteFiles(peer, at)),
    targets: new Map(
      [...config.targets].map(([name, target]) => [
        name,
        { ...target, document: absoluteAuthorities(target.document, at) },
      ]),
    ),
    syncs: new Map([...config.syncs].map(([name, sync]) => [name, absoluteSync(sync, at)])),
  }
}

function absoluteSync(sync: Sync, at: (path: string) => string): Sync {
  const { source, destinations } = sync
  return {
    ...sync,
    ...(source && { source: absoluteSource(source, at) }),
    destinations: destinations.map((destination) => ({
      ...destination,
      document: absoluteAuthorities(destination.document, at),
      target: { ...destination.target, document: absoluteAuthorities(destination.target.document, at) },
    })),
  }
}

function absoluteSource(source: SourceDocument, at: (path: string) => string): SourceDocument {
  return source.type === 'directory' ? { ...source, path: at(source.path) } : absoluteAuthorities(source, at)
}

function absoluteStore(store: Configuration['store'], at: (path: string) => string): Configuration['store'] {
  if (store.kind === 'sqlite') return { ...store, path: at(store.path) }
  const { password } = store
  return absoluteFiles(
    { ...store, ...(password && 'file' in password && { password: { file: at(password.file) } }) },
    at,
  )
}

type Seal = Configuration['seal']

function absoluteSeal({ also, ...seal }: Seal, at: (path: string) => string): Seal {
  const absolute = <Key extends object>(key: Key) => ('file' in key ? { ...key, file: at(String(key.file)) } : key)
  return { ...absolute(seal), ...(also && { also: also.map(absolute) }) }
}

/** Below other keys of a target stand names that the operator made up. */
function absoluteAuthorities<T extends { readonly ca_file?: string | undefined }>(
  value: T,
  at: (path: string) => string,
): T {
  return value.ca_file === undefined ? value : { ...value, ca_file: at(value.ca_file) }
}

/** Keys that name files end in `_file`, or `File` where they were read, at any depth. */
function absoluteFiles<T extends object>(value: T, at: (path: string) => string): T {
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (/(?:_file|File)$/.test(key) && typeof inner === 'string') return [key, at(inner)]
      return [key, absoluteWithin(inner, at)]
    }),
  ) as T
}

function absoluteWithin(value: unknown, at: (path: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => absoluteWithin(item, at))
  return typeof value === 'object' && value !== null ? absoluteFiles(value, at) : value
}

/**
 * Calls `changed` a moment after the file was written or replaced. The folder is watched, as editors and mounted
 * volumes replace files rather than write them. Calls `lost` when the system does not let it watch, or stops doing so.
 */
export function watchConfiguration(
  file: string,
  changed: () => void,
  lost: (error: unknown) => void,
): { readonly close: () => void } {
  const name = basename(file)
  let timer: NodeJS.Timeout | undefined
  const watcher = watchFolder(dirname(resolve(file)), lost, (changedName) => {
    if (changedName !== null && changedName !== name && !changedName.startsWith('..')) return
    clearTimeout(timer)
    timer = setTimeout(changed, settleMs)
  })
  return {
    close() {
      clearTimeout(timer)
      watcher?.close()
    },
  }
}

const settleMs = 200

/** Many a system limits how much may be watched, for all its processes together: then it throws. */
function watchFolder(folder: string, lost: (error: unknown) => void, noticed: (name: string | null) => void) {
  try {
    return watch(folder, (_event, name) => noticed(name)).on('error', lost)
  } catch (error) {
    lost(error)
    return undefined
  }
}
