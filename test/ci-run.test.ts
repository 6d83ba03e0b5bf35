/** `.ci/run` with an `npm` that does nothing but say which stage fails. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'ci-run-'))
const npm = join(folder, 'npm')
writeFileSync(npm, '#!/bin/sh\ncase "$* " in "$FAILING "*) exit 1;; esac\n')
chmodSync(npm, 0o700)
afterAll(() => rmSync(folder, { recursive: true }))

function run(failing: string) {
  const env = { ...process.env, PATH: `${folder}${delimiter}${process.env['PATH']}`, FAILING: failing }
  const { status, stdout } = spawnSync(join(import.meta.dirname, '../.ci/run'), { env, encoding: 'utf8' })
  return { status, last: stdout.trimEnd().split('\n').at(-1) }
}

test('ends with 0 when every stage passes', () => {
  expect(run('none')).toEqual({ status: 0, last: '7 passed, 0 failed' })
})

test.each(['run check', 'test', 'run test:interop', 'run build', 'run demo', 'run bench'])(
  'ends with 1 when npm %s fails, and runs the others',
  (failing) => {
    expect(run(failing)).toEqual({ status: 1, last: '6 passed, 1 failed' })
  },
)

test('ends with 1 when nothing can be installed', () => {
  expect(run('ci')).toEqual({ status: 1, last: '0 passed, 1 failed' })
})
