/**
 * How this program was started, so that the commands that it prints begin the same way.
 *
 * @module
 */
import { realpathSync } from 'node:fs'
import { basename, delimiter, dirname, join, sep } from 'node:path'

export interface Started {
  /** Absolute path of the script or of the link to it. */
  readonly script: string
  /** Absolute path of the Node that runs it. */
  readonly node: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** The file at a path, links followed; undefined where there is none. */
  readonly resolve: (path: string) => string | undefined
}

/**
 * Such as `npx apostille`, `apostille` or `node /opt/apostille/dist/cli/main.js`: what works in another terminal, so
 * paths are absolute, and Node is named by its path where `node` is another one there.
 */
export function invocation(started: Started): string {
  const { script, env } = started
  // The variables of npx are inherited by whatever it starts, so the place of the script decides first.
  if (dirname(script).endsWith(packageBin)) return `${packageRunner(env)} apostille`
  if (basename(script) !== 'apostille') return `${nodeWord(started)} ${quote(script)}`
  return foldersOf(env).includes(dirname(script)) ? 'apostille' : quote(script)
}

/** A command line that runs this file with this Node. */
export function invocationOf(script: string): string {
  return invocation({ script, node: process.execPath, env: process.env, resolve: realPath })
}

export function currentInvocation(): string {
  return invocationOf(process.argv[1] ?? 'apostille')
}

const packageBin = `${sep}node_modules${sep}.bin`

/** What npm puts in front of the path for its scripts is not there in another terminal. */
function nodeWord({ node, env, resolve }: Started): string {
  const candidates = foldersOf(env)
    .filter((folder) => !folder.endsWith(packageBin))
    .map((folder) => resolve(join(folder, 'node')))
  const first = candidates.find((path) => path !== undefined)
  return first !== undefined && first === resolve(node) ? 'node' : quote(node)
}

function foldersOf(env: Started['env']): readonly string[] {
  return (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

function packageRunner(env: Started['env']): string {
  const agent = env['npm_config_user_agent'] ?? ''
  if (agent.startsWith('pnpm/')) return 'pnpm exec'
  if (agent.startsWith('yarn/')) return 'yarn exec'
  return agent.startsWith('bun/') ? 'bunx' : 'npx'
}

/** Commands in a text, between backticks, begin as this program was started. */
export function asTyped(text: string): string {
  return text.replaceAll('`apostille ', () => `\`${currentInvocation()} `)
}

/** A word as a POSIX shell reads it back. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
