/** A rotation of the seal key that is killed (SIGKILL) at each of its steps, in a process of its own each time. */
import { execFile } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { makeSealedStore, openEverything } from '../support/sealed-store.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'

const run = promisify(execFile)
const script = join(import.meta.dirname, '../support/rotate-until-killed.ts')

async function rotate(folder: string, killedAt: number): Promise<string> {
  try {
    const { stdout } = await run(process.execPath, [script, folder, String(killedAt)])
    return stdout.trim()
  } catch (error) {
    const { signal, stderr } = error as { readonly signal?: string; readonly stderr?: string }
    if (signal !== 'SIGKILL') throw new Error(stderr, { cause: error })
    return signal
  }
}

test('nothing is lost whenever it is killed, and the next run finishes it', { timeout: 300_000 }, async () => {
  using template = makeStoreDirectory()
  await makeSealedStore(template.path)
  let kills = 0
  for (;;) {
    using folder = makeStoreDirectory()
    cpSync(template.path, folder.path, { recursive: true })
    const ended = await rotate(folder.path, kills)
    const { opened, keys } = await openEverything(folder.path)
    expect({ kills, opened }).toEqual({ kills, opened: 8 })
    if (ended === 'done') break
    kills++
    expect(await rotate(folder.path, -1)).toBe('done')
    const after = await openEverything(folder.path)
    expect({ opened: after.opened, keys: after.keys }).toMatchObject({
      opened: 8,
      keys: { opens: [], isUnfinished: false },
    })
    // What was begun is gone on with, and not begun anew.
    if (keys.isUnfinished) expect(after.keys.seals).toEqual(keys.seals)
  }
  expect(kills).toBeGreaterThan(25)
})
