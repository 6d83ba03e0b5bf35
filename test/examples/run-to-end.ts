import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const root = join(import.meta.dirname, '../..')

/** Runs a script of the project until it ends by itself. @param file From the root of the project. */
export async function runToEnd(file: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, file)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [[code], stdout, stderr] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)])
  return { code: code as number | null, stdout, stderr }
}

/** Lines that were seen to hold. */
export function checksOf({ stdout }: Ended): string {
  const paragraphs = stdout.replaceAll(/\n {2}(?=\S)/g, ' ').split('\n')
  return paragraphs.filter((line) => line.startsWith('✓ ')).join('\n')
}
