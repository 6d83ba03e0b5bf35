/**
 * A configuration document looked at without starting anything: its mistakes, and which files it names that are not
 * there.
 *
 * @module
 */
import { access, constants } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type Configuration, ConfigurationError, type Diagnostic, parseConfiguration } from '../core/config.ts'
import { readDocument } from './configuration.node.ts'
import { createLocator, namedFiles } from './named-files.ts'

export interface CheckReport {
  readonly ok: boolean
  /** SHA-256 of the text, lower-case hex; absent when it is refused. */
  readonly digest?: string
  /** Errors, or warnings when there are none. */
  readonly diagnostics: readonly Diagnostic[]
  /** The document, line by line. */
  readonly lines: readonly string[]
}

/** @throws {DocumentError} when it can not be read at all */
export async function checkConfiguration(file: string): Promise<CheckReport> {
  return checkText(await readDocument(file), file)
}

/** @param file Where the text is, or is to be: the files that it names are looked for from there. */
export async function checkText(text: string, file: string): Promise<CheckReport> {
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
  const locate = createLocator(text, 'warning')
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

async function problemOf(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.R_OK)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'cannot be read by this user' : 'is not there'
  }
}
