/**
 * Rotates the seal key of the store in a folder, and is killed at the step of that number: each file that is opened, renamed
 * or removed is one, and each thing that is asked of the store or of the records. Says `done` where there is no such step.
 */
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const [folder = '', at] = process.argv.slice(2)
let left = Number(at)

function step(): void {
  if (left-- === 0) process.kill(process.pid, 'SIGKILL')
}

function stepped<Given extends readonly unknown[], Result>(work: (...given: Given) => Result) {
  return (...given: Given): Result => {
    step()
    return work(...given)
  }
}

// Before anything imports these.
Object.assign(fs, { open: stepped(fs.open), rename: stepped(fs.rename), unlink: stepped(fs.unlink) })
syncBuiltinESMExports()

const { openSealedStore, ringKeys, sealOf } = await import('./sealed-store.ts')
const { readSealKeys } = await import('../../src/runtime/seal-key.node.ts')
const { createSealRotation } = await import('../../src/runtime/seal-rotation.node.ts')

const store = openSealedStore(folder)
const seal = sealOf(folder)
const { ring, keys } = ringKeys(await readSealKeys({ seal, env: {}, storeIsEmpty: false }))
const rotation = createSealRotation({
  store: { ...store, readDocument: stepped(store.readDocument), writeDocument: stepped(store.writeDocument) },
  keys,
  ring,
  isShared: false,
  seal,
  writer: { append: stepped(async () => 'stored' as const) },
  now: () => new Date(),
  pause: async () => undefined,
})
await rotation.rotate('request-1')
await store.close()
process.stdout.write('done\n')
