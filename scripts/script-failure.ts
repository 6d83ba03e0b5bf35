/**
 * How a script of the project ends that could not do what it was asked for.
 *
 * @module
 */
import { ConfigurationError } from '../src/core/config.ts'

/** Runs `main`; what it throws is told without a stack, mistakes of the configuration each with its place. */
export async function runScript(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    if (!(error instanceof Error)) throw error
    process.exitCode = 1
    console.error(`error: ${error.message}`)
    if (!(error instanceof ConfigurationError)) return
    for (const { line, column, path, message } of error.diagnostics)
      console.error(`  ${line}:${column} ${path === '' ? '' : `${path}: `}${message}`)
  }
}
