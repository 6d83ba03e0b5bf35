/**
 * Parts that the scripts in `scripts/` build or install, once per version.
 *
 * @module
 */
import { join } from 'node:path'
import { runOk } from './command.ts'

/** For `beforeAll`: with an empty cache the largest part takes minutes, and others may be built first. */
export const buildDeadlineMs = 25 * 60_000

const root = join(import.meta.dirname, '../../..')

/** Folder of the part that a script answers for. */
export async function part(script: string, ...args: readonly string[]): Promise<string> {
  return (await runOk(join(root, 'scripts', script), args, { cwd: root, deadlineMs: buildDeadlineMs })).trim()
}
