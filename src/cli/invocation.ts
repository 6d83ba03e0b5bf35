/**
 * How this program was started, so that the commands that it prints begin the same way.
 *
 * @module
 */
import { basename, delimiter, dirname, relative, sep } from 'node:path'

export interface Started {
  /** Absolute path of the script or of the link to it. */
  readonly script: string
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Such as `npx apostille`, `apostille` or `node /opt/apostille/dist/cli/main.js`. */
export function invocation({ script, cwd, env }: Started): string {
  // The variables of npx are inherited by whatever it starts, so the place of the script decides first.
  if (dirname(script).endsWith(`${sep}node_modules${sep}.bin`)) return `${packageRunner(env)} apostille`
  if (basename(script) !== 'apostille') return `node ${quote(fromHere(script, cwd))}`
  const folders = (env['PATH'] ?? '').split(delimiter)
  return folders.includes(dirname(script)) ? 'apostille' : quote(fromHere(script, cwd))
}

export function currentInvocation(): string {
  return invocation({ script: process.argv[1] ?? 'apostille', cwd: process.cwd(), env: process.env })
}

function packageRunner(env: Started['env']): string {
  const agent = env['npm_config_user_agent'] ?? ''
  if (agent.startsWith('pnpm/')) return 'pnpm exec'
  if (agent.startsWith('yarn/')) return 'yarn exec'
  return agent.startsWith('bun/') ? 'bunx' : 'npx'
}

/** Relative only below the working directory, and never a bare name, which a shell would look up in its path. */
function fromHere(script: string, cwd: string): string {
  const path = relative(cwd, script)
  if (path.startsWith('..') || path === '') return script
  return path.includes(sep) ? path : `.${sep}${path}`
}

/** A word as a POSIX shell reads it back. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
