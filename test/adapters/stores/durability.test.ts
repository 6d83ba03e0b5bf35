import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createSqliteStore } from '../../../src/adapters/stores/sqlite.node.ts'
import { verifyRecords } from '../../support/record-chain.ts'
import { makeStoreDirectory } from '../../support/store-directory.ts'

const script = join(import.meta.dirname, '../../support/append-records.ts')
/** `APOSTILLE_KILL_ROUNDS=100` looks longer. */
const rounds = Number(process.env['APOSTILLE_KILL_ROUNDS'] ?? 3)

interface Outcome {
  /** Numbers of the records that were answered for. */
  readonly kept: readonly number[]
  readonly errors: string
}

/** Lets a process append until it ends, or until it has answered for `killAfter` records. */
function appendUntilEnd(
  command: string,
  given: readonly string[],
  killAfter = Number.POSITIVE_INFINITY,
): Promise<Outcome> {
  const child = spawn(command, given, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.on('data', (data) => {
    output += data
    if (output.split('\n').length > killAfter) child.kill('SIGKILL')
  })
  child.stderr.on('data', (data) => {
    errors += data
  })
  return new Promise((resolve) => {
    // The last line may have been cut off.
    child.on('close', () => resolve({ kept: output.split('\n').slice(0, -1).map(Number), errors }))
  })
}

async function readStored(path: string) {
  const store = createSqliteStore({ path, trustDomain: 'example.org' })
  const records = await store.readRecords({ chain: 'main', limit: 1_000_000 })
  await store.close()
  return { records, numbers: new Set(records.map(({ body }) => Number(JSON.parse(body).request_id))) }
}

describe('what was answered for is there', () => {
  test('after each kill -9, in a chain without gap or fork', { timeout: 20_000 + rounds * 3000 }, async () => {
    using directory = makeStoreDirectory()
    const path = directory.file('a.db')
    const kept: number[] = []
    for (let round = 0; round < rounds; round++) {
      const outcome = await appendUntilEnd(
        process.execPath,
        [script, path, String(round * 1_000_000)],
        50 + 400 * round,
      )
      kept.push(...outcome.kept)
      expect(outcome.errors).toBe('')
    }
    const { records, numbers } = await readStored(path)
    expect(kept.length).toBeGreaterThanOrEqual(50 * rounds)
    expect(kept.filter((number) => !numbers.has(number))).toEqual([])
    expect(await verifyRecords(records)).toMatchObject({ records: records.length, findingsCount: 0 })
  })

  test('when the disk is full, and the refusal says so', async () => {
    using directory = makeStoreDirectory()
    const path = directory.file('a.db')
    // A limit on the size of files ends a write as a full disk does; in blocks of 512 or 1,024 bytes.
    const command = 'ulimit -f 1000 && exec "$0" "$@"'
    const { kept, errors } = await appendUntilEnd('/bin/sh', ['-c', command, process.execPath, script, path])
    expect(errors).toMatch(/^store_unavailable: .*(disk I\/O error|database or disk is full)/)
    expect(kept.length).toBeGreaterThan(100)

    const { records, numbers } = await readStored(path)
    expect(kept.filter((number) => !numbers.has(number))).toEqual([])
    expect((await verifyRecords(records)).findings).toEqual([])
  })
})
