import { execFile } from 'node:child_process'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFileReader } from '../../src/adapters/file-reader.node.ts'

const maxBytes = 1024 * 1024
const files = createFileReader(maxBytes)

let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-reader-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function write(text: string): Promise<string> {
  const path = join(folder, 'file')
  await writeFile(path, text)
  return path
}

test.each([0, 1, 8191, 8192, 8193, maxBytes])('reads a file of %d bytes whole', async (length) => {
  const text = 'x'.repeat(length)
  expect((await files.read(await write(text))) === text).toBe(true)
})

test('refuses a file that is longer than it may be', async () => {
  await expect(files.read(await write('x'.repeat(maxBytes + 1)))).rejects.toThrow(`it has more than ${maxBytes} bytes`)
  const small = createFileReader(4)
  await expect(small.read(await write('xxxxx'))).rejects.toThrow('it has more than 4 bytes')
})

test('refuses what is not UTF-8', async () => {
  const path = join(folder, 'file')
  await writeFile(path, Uint8Array.of(0xff, 0xfe))
  await expect(files.read(path)).rejects.toThrow(TypeError)
})

test('reads a pipe, which has no size', async () => {
  const path = join(folder, 'pipe')
  await promisify(execFile)('mkfifo', [path])
  const [text] = await Promise.all([files.read(path), writeFile(path, 'from a pipe')])
  expect(text).toBe('from a pipe')
})

test('reads a pipe to its end, however it is written', async () => {
  const path = join(folder, 'pipe')
  await promisify(execFile)('mkfifo', [path])
  const reading = files.read(path)
  const pipe = await open(path, 'w')
  for (const part of ['a', 'b', 'c']) {
    await pipe.write(part.repeat(50_000))
    await setTimeout(20)
  }
  await pipe.close()
  expect(await reading).toBe('a'.repeat(50_000) + 'b'.repeat(50_000) + 'c'.repeat(50_000))
})

test('refuses a pipe that gives more than it may', async () => {
  const path = join(folder, 'pipe')
  await promisify(execFile)('mkfifo', [path])
  const writing = writeFile(path, 'x'.repeat(maxBytes + 1)).catch(() => {})
  await expect(files.read(path)).rejects.toThrow(`it has more than ${maxBytes} bytes`)
  await writing
})

test('a thousand at once take the room of what they hold, and not of what they may hold', async () => {
  const path = await write('x'.repeat(2000))
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const reads = Array.from({ length: 1000 }, async () => {
    await files.read(path)
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  })
  await Promise.all(reads)
  expect(most).toBeLessThan(50 * 1024 * 1024)
})
