/**
 * What a test file started ends with it, also where it failed halfway.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** Emptied, last one first, after the tests of the file. */
export function cleanupAfterAll(): AsyncDisposableStack {
  const stack = new AsyncDisposableStack()
  afterAll(() => stack.disposeAsync())
  return stack
}

export async function makeFolder(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'apostille-interop-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  return folder
}
