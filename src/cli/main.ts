#!/usr/bin/env node
/**
 * The command `apostille`. Nothing is imported before the version of Node is known to be one that can read it.
 *
 * @module
 */
export {}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major > 24 || (major === 24 && minor >= 15)) {
  const { runProgram } = await import('./program.ts')
  await runProgram(process.argv.slice(2))
} else {
  process.stderr.write(
    `error: apostille needs Node 24.15 or newer, and this is ${process.versions.node}: install a newer one from https://nodejs.org\n`,
  )
  process.exitCode = 1
}
