import { expect, test } from 'vitest'
import { runToEnd } from '../examples/run-to-end.ts'

test('the demo shows both examples, ends by itself, and keeps colour to terminals', async () => {
  const run = await runToEnd('scripts/demo.ts', { NO_COLOR: '' })
  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(run.stdout).toMatch(/SPIFFE ID {2}the name of a workload.*Part 1 of 2.*Part 2 of 2.*What to do next/s)
  expect(run.stdout).not.toContain('\u001b')
}, 180_000)
