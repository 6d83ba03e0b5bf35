/** The unit of systemd, read by systemd. */
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { run } from './support/command.ts'
import { buildDeadlineMs, part } from './support/parts.ts'

const stack = cleanupAfterAll()
const unit = join(import.meta.dirname, '../../deploy/systemd/apostille.service')
let folder: string
let program: string

beforeAll(async () => {
  program = await part('debian-program.sh', 'systemd-analyze', 'systemd')
  folder = await makeFolder(stack)
}, buildDeadlineMs)

const analyze = (...args: readonly string[]) => run(program, args, { env: { SYSTEMD_COLORS: '0' } })

test('systemd finds no mistake in it', async () => {
  const mistaken = join(folder, 'mistaken.service')
  await writeFile(mistaken, '[Service]\nExecStart=/usr/bin/env true\nProtectSytem=strict\n')
  expect((await analyze('verify', '--man=no', mistaken)).stderr).toMatch(/Unknown key .*ProtectSytem/)

  expect(await analyze('verify', '--man=no', unit)).toEqual({ code: 0, stdout: '', stderr: '' })
})

test('its exposure is at most 1.5 of 10', async () => {
  // Without a folder of drop-ins beside it, and as it is installed.
  await copyFile(unit, join(folder, 'apostille.service'))
  const { code, stdout } = await analyze(
    'security',
    '--offline=true',
    '--threshold=15',
    join(folder, 'apostille.service'),
  )
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/exposure level for apostille.service: 1\.[0-5] OK/),
  })
})
