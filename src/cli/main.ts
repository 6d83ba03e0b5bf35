#!/usr/bin/env node
/**
 * The command `apostille`. Nothing is imported before the version of Node is known to be one that can read it.
 *
 * @module
 */
export {}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major > 24 || (major === 24 && minor >= 15)) {
  const words = process.argv.slice(2)
  const { useCodeCache } = await import('./code-cache.ts')
  useCodeCache(process.env)
  const { runProgram } = serves(words) ? await import('./serving.ts') : await import('./program.ts')
  await runProgram(words)
} else {
  process.stderr.write(
    `error: apostille needs Node 24.15 or newer, and this is ${process.versions.node}: install a newer one from https://nodejs.org\n`,
  )
  process.exitCode = 1
}

function serves(words: readonly string[]): boolean {
  const command = words.find((word) => !word.startsWith('-') && word !== 'help')
  return command === 'serve' || command === 'dev'
}
