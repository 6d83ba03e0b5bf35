/**
 * What a Worker is given with its deployment, and what of it is its configuration.
 *
 * @module
 */

import { parseSealKey } from '../adapters/keys/sealed.ts'
import type { FileReader } from '../adapters/watched-file.ts'
import { type Configuration, ConfigurationError, type Diagnostic, parseConfiguration } from '../core/config.ts'
import { sourcesOf } from '../core/sync.ts'
import { DocumentError } from './document-error.ts'
import { createLocator, namedFiles } from './named-files.ts'

/** Variables and secrets are texts; what else is bound is read by who uses it. */
export type Bindings = Readonly<Record<string, unknown>>

export interface BoundConfiguration {
  readonly config: Configuration
  /** The files that it names, by the names that it has for them. */
  readonly files: FileReader
}

const documentName = 'APOSTILLE_CONFIG'
const filesName = 'APOSTILLE_FILES'
const sealKeyName = 'APOSTILLE_SEAL_KEY'
/** A variable or secret of the platform holds 5 kB; what is longer goes on in `NAME_2`, `NAME_3` and so on. */
const maxPartBytes = 5000

/**
 * @throws {DocumentError} when a binding is missing or is not what it should be
 * @throws {ConfigurationError} with every mistake of the document, and everything in it that no Worker can do
 */
export function readConfiguration(bindings: Bindings): BoundConfiguration {
  const document = readText(bindings, documentName)
  if (document === undefined)
    throw new DocumentError(`the Worker has no configuration: bind the document, as text, to ${documentName}`)
  const config = parseConfiguration(document)
  const files = readFiles(readText(bindings, filesName))
  const problems = findProblems(config, document, files)
  if (problems.length > 0) throw new ConfigurationError(problems)
  return { config, files: createReader(files) }
}

/** The key that opens the store. @throws {DocumentError} @throws {SealError} */
export function readSealKey(bindings: Bindings, { seal }: Pick<Configuration, 'seal'>): Uint8Array {
  const name = sealKeyBinding({ seal })
  const text = readText(bindings, name)
  if (text === undefined)
    throw new DocumentError(
      `the seal key is missing: \`openssl rand -base64 32 | npx wrangler secret put ${name}\` makes one. Keep a copy: nothing else opens the store`,
    )
  return parseSealKey(text)
}

/** The secret that holds the seal key. */
export function sealKeyBinding({ seal }: Pick<Configuration, 'seal'>): string {
  return 'env' in seal ? seal.env : sealKeyName
}

/** What {@link readConfiguration} reads. Files may hold tokens and keys, so they go as secrets. */
export function formatBindings(document: string, files: Readonly<Record<string, string>>) {
  return {
    variables: splitText(documentName, document),
    secrets: Object.keys(files).length === 0 ? {} : splitText(filesName, JSON.stringify(files)),
  }
}

const partName = (name: string, index: number) => (index === 0 ? name : `${name}_${index + 1}`)

/** Parts end between characters. */
function splitText(name: string, text: string): Readonly<Record<string, string>> {
  const parts = ['']
  let bytes = 0
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > maxPartBytes) {
      parts.push('')
      bytes = Buffer.byteLength(character)
    }
    parts[parts.length - 1] += character
  }
  return Object.fromEntries(parts.map((part, index) => [partName(name, index), part]))
}

function readText(bindings: Bindings, name: string): string | undefined {
  let text = ''
  for (let index = 0; ; index++) {
    const part = bindings[partName(name, index)]
    if (typeof part !== 'string') return text === '' ? undefined : text
    text += part
  }
}

type Files = ReadonlyMap<string, string>

/** A JSON object of texts, as one variable or secret. */
function readFiles(text: string | undefined): Files {
  if (text === undefined) return new Map()
  try {
    const entries = Object.entries(JSON.parse(text) as Readonly<Record<string, unknown>>)
    if (entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) return new Map(entries)
  } catch (cause) {
    throw new DocumentError(`${filesName} can not be read: a JSON object is expected`, { cause })
  }
  throw new DocumentError(`${filesName} can not be read: the members of its JSON object have to be texts`)
}

function createReader(files: Files): FileReader {
  return {
    // They change with a deployment, and that is another process.
    stamp: async () => '',
    async read(path) {
      const text = files.get(path)
      if (text === undefined) throw Object.assign(new Error(`${path} is not bound`), { code: 'ENOENT' })
      return text
    },
  }
}

/** What would not be done at all, or otherwise than it is meant. */
function findProblems(config: Configuration, document: string, files: Files): readonly Diagnostic[] {
  const locate = createLocator(document, 'error')
  const found = namedFiles(config).flatMap(({ at, path }) => {
    if (at[0] === 'listen') return []
    if (at.at(-1) === 'ca_file')
      return [locate(at, 'a Worker trusts the public authorities and no others: let one of them vouch for this host')]
    if (files.has(path)) return []
    return [locate(at, `${path} is not bound: add it to ${filesName}, a JSON object of the files by these names`)]
  })
  const endpoints = config.federation.flatMap(({ trustDomain, endpoint }) =>
    endpoint?.profile === 'https_spiffe'
      ? [
          locate(
            ['federation', trustDomain, 'profile'],
            'a Worker does not see the certificate of a server: use https_web, or leave the endpoint out and deploy new bundles',
          ),
        ]
      : [],
  )
  const listener = config.bundle_endpoint
    ? [
        locate(
          ['bundle_endpoint'],
          'a Worker has no listener of its own: the bundle is served at /v1/bundle, https_web',
        ),
      ]
    : []
  const folders = [...sourcesOf(config.syncs)].flatMap(([name, { type }]) =>
    type === 'directory'
      ? [locate(['sources', name], 'a Worker has no folders: let the secrets come from kv or vault')]
      : [],
  )
  const store =
    config.store.kind === 'postgres'
      ? [
          locate(
            ['store'],
            'a Worker keeps its store in its Durable Object or in D1: expected sqlite:PATH, whose path is passed over',
          ),
        ]
      : []
  return [...found, ...endpoints, ...listener, ...folders, ...store].sort(
    (a, b) => a.line - b.line || a.column - b.column,
  )
}
