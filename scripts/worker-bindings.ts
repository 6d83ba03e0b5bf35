/**
 * What the Worker is given: the document that `APOSTILLE_CONFIG` names, and the files that it names in turn.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parseConfiguration } from '../src/core/config.ts'
import { formatBindings, readConfiguration } from '../src/runtime/bindings.worker.ts'
import { readDocument } from '../src/runtime/configuration.node.ts'
import { namedFiles } from '../src/runtime/named-files.ts'

export interface WorkerBindings {
  readonly variables: Readonly<Record<string, string>>
  /** Files may hold tokens and keys. */
  readonly secrets: Readonly<Record<string, string>>
}

/**
 * @throws {DocumentError} when it can not be read
 * @throws {ConfigurationError} with every mistake in it, and everything that no Worker can do
 */
export async function readBindings(configFile: string): Promise<WorkerBindings> {
  const document = await readDocument(configFile)
  const paths = new Set(namedFiles(parseConfiguration(document)).map(({ path }) => path))
  const found = await Promise.all([...paths].map((path) => readIfThere(dirname(resolve(configFile)), path)))
  const bindings = formatBindings(document, Object.fromEntries(found.flat()))
  readConfiguration({ ...bindings.variables, ...bindings.secrets })
  return bindings
}

/** One that is missing is told by who reads the configuration, with the place that names it. */
async function readIfThere(folder: string, path: string): Promise<readonly (readonly [string, string])[]> {
  try {
    return [[path, await readFile(resolve(folder, path), 'utf8')]]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
