/**
 * A configuration document looked at without starting anything: its mistakes, and which files it names that are not
 * there.
 *
 * @module
 */
import { access, constants } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { LineCounter, type Node, parseDocument } from 'yaml'
import { type Configuration, ConfigurationError, type Diagnostic, parseConfiguration } from '../core/config.ts'
import type { ConfiguredPeer } from '../core/config-federation.ts'
import { storeFiles } from '../core/config-store.ts'
import { readDocument } from './configuration.node.ts'

export interface CheckReport {
  readonly ok: boolean
  /** SHA-256 of the text, lower-case hex; absent when it is refused. */
  readonly digest?: string
  /** Errors, or warnings when there are none. */
  readonly diagnostics: readonly Diagnostic[]
  /** The document, line by line. */
  readonly lines: readonly string[]
}

type Path = readonly (string | number)[]

/** A file that the document names. */
interface NamedFile {
  readonly at: Path
  readonly path: string
}

/** @throws {DocumentError} when it can not be read at all */
export async function checkConfiguration(file: string): Promise<CheckReport> {
  const text = await readDocument(file)
  const lines = text.split(/\r?\n/)
  try {
    const config = parseConfiguration(text)
    const missing = await findMissingFiles(config, text, dirname(resolve(file)))
    const diagnostics = [...config.warnings, ...missing].sort((a, b) => a.line - b.line || a.column - b.column)
    return { ok: true, digest: config.digest, diagnostics, lines }
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return { ok: false, diagnostics: error.diagnostics, lines }
  }
}

async function findMissingFiles(config: Configuration, text: string, folder: string): Promise<readonly Diagnostic[]> {
  const locate = createLocator(text)
  const found = await Promise.all(
    namedFiles(config).map(async ({ at, path }) => ({ at, path, problem: await problemOf(resolve(folder, path)) })),
  )
  const missing = found.flatMap(({ at, path, problem }) =>
    problem === undefined ? [] : [locate(at, `${path} ${problem}`)],
  )
  return [...missing, ...(await checkSealFile(config, folder, locate))]
}

/** `serve` makes a missing seal key only while there is no store, as a new key opens nothing old. */
async function checkSealFile(
  { seal, store }: Configuration,
  folder: string,
  locate: ReturnType<typeof createLocator>,
): Promise<readonly Diagnostic[]> {
  if (!('file' in seal) || store.kind !== 'sqlite') return []
  if ((await problemOf(resolve(folder, store.path))) !== undefined) return []
  const problem = await problemOf(resolve(folder, seal.file))
  if (problem === undefined) return []
  return [
    locate(['seal', 'file'], `${seal.file} ${problem}, and the store is there: it holds keys that only this opens`),
  ]
}

function namedFiles(config: Configuration): readonly NamedFile[] {
  const { listen, store, authorities, authenticators, federation, targets } = config
  const tls = typeof listen.tls === 'string' ? [] : filesOf(['listen', 'tls'], listen.tls)
  const upstream = authorities.x509.upstream
    ? filesOf(['authorities', 'x509', 'upstream'], authorities.x509.upstream)
    : []
  const ofAuthenticators = [...authenticators].flatMap(([name, config]) => fileKeys(['authenticators', name], config))
  const ofTargets = [...targets].flatMap(([name, { document }]) =>
    document.ca_file === undefined ? [] : filesOf(['targets', name], { ca_file: document.ca_file }),
  )
  const ofStore = Object.values(storeFiles(store)).map((path) => ({ at: ['store'], path }))
  return [...tls, ...ofStore, ...upstream, ...ofAuthenticators, ...ofTargets, ...federation.flatMap(filesOfPeer)]
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

async function problemOf(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.R_OK)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'cannot be read by this user' : 'is not there'
  }
}

function createLocator(text: string) {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter })
  return (at: Path, message: string): Diagnostic => {
    const node = document.getIn(at, true) as Node | undefined
    const { line, col } = counter.linePos(node?.range?.[0] ?? 0)
    return { severity: 'warning', line: Math.max(1, line), column: Math.max(1, col), path: at.join('.'), message }
  }
}
