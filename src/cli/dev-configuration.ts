/**
 * The configuration that `dev` makes, for hints: whoever has only tried `dev` has it in place of `./apostille.yaml`.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { quote } from './invocation.ts'

const devConfiguration = '.apostille/apostille.yaml'

/** Where there is none at the path that was named. */
export function missingConfigurationHint(): string | undefined {
  if (!existsSync(devConfiguration)) return undefined
  return `That of \`dev\` is here: --config ${devConfiguration}, or export APOSTILLE_CONFIG=${devConfiguration}`
}

/**
 * Which flag an operator needs for the command that a hint names; none where the default is right.
 *
 * @param caFile Of the request: beside that of `dev` lies its configuration.
 */
export function configurationFlag(caFile: string | undefined): string {
  if (process.env['APOSTILLE_CONFIG'] !== undefined || existsSync('apostille.yaml')) return ''
  const beside = caFile === undefined ? undefined : join(dirname(resolve(caFile)), 'apostille.yaml')
  const found = [beside, resolve(devConfiguration)].find((path) => path !== undefined && existsSync(path))
  return ` --config ${found === undefined ? 'FILE' : quote(found)}`
}
