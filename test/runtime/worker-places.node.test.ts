import cluster from 'node:cluster'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createWorkerPlaces } from '../../src/runtime/worker-places.node.ts'
import { createTelemetryLog } from '../support/fake-upstream.ts'

const mask = process.umask()
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'apostille-workers-'))
  const exec = join(folder, 'worker.cjs')
  await writeFile(exec, `process.on('message', ({ kind }) => kind === 'stop' && process.exit())`)
  cluster.setupPrimary({ exec, execArgv: [], silent: true })
})
afterEach(async () => {
  process.umask(mask)
  await rm(folder, { recursive: true })
})

test('a worker that is killed while it is told something ends nobody else, and another takes its place', async () => {
  const telemetry = createTelemetryLog()
  const places = createWorkerPlaces({ telemetry, onReport: () => undefined })
  const [killed, other] = [places.add(), places.add()]
  await Promise.all([once(killed, 'online'), once(other, 'online')])
  places.keepFilled()

  process.kill(killed.process.pid ?? 0, 'SIGKILL')
  // Its end is a fact before this process can hear of it.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  expect(killed.isConnected()).toBe(true)
  places.tellAll({ kind: 'reload' })

  await expect.poll(() => places.living().filter((worker) => worker !== killed), { timeout: 5_000 }).toHaveLength(2)
  expect(other.isDead()).toBe(false)
  expect(telemetry.lines).toContainEqual(expect.objectContaining({ text: 'a worker ended and is started again' }))
  await places.close()
})

test('a place that the system can start nobody for is filled when it can', async () => {
  const telemetry = createTelemetryLog()
  const places = createWorkerPlaces({ telemetry, onReport: () => undefined })
  const { execPath } = process
  process.execPath = join(folder, 'missing')
  try {
    places.add()
    places.keepFilled()
    await expect.poll(() => places.living()).toEqual([])
  } finally {
    process.execPath = execPath
  }
  await expect.poll(() => places.living(), { timeout: 5_000 }).toHaveLength(1)
  await places.close()
})
