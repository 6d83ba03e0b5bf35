import { existsSync, rmSync, statSync } from 'node:fs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { runCli, startCli, startGateway } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let gateway: Awaited<ReturnType<typeof startGateway>>
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())

const run = (...args: readonly string[]) => runCli([...args, '--config', gateway.config])

test('a rotation of the seal key, a backup, and a restore of it', async () => {
  const rotated = await run('seal', 'rotate', '--output', 'json')
  expect([rotated.code, rotated.stderr]).toEqual([0, ''])
  const { key, resealed, former_key_file: formerKeyFile } = JSON.parse(rotated.stdout)
  expect({ key, resealed }).toEqual({ key: expect.stringMatching(/^[0-9a-f]{16}$/), resealed: 2 })
  expect(existsSync(formerKeyFile)).toBe(true)

  const file = gateway.folder.file('apostille.backup')
  const backup = await run('backup', file, '--output', 'json')
  expect(backup.code).toBe(0)
  const { size, mode } = statSync(file)
  expect(JSON.parse(backup.stdout)).toEqual({ file, bytes: size })
  expect(mode & 0o777).toBe(0o600)

  const running = await run('restore', file, '--keep-old-trust')
  expect(running).toMatchObject({ code: 1, stderr: expect.stringContaining('in use by another process') })
  await gateway.running.stop()
  const full = await run('restore', file, '--keep-old-trust')
  expect(full).toMatchObject({ code: 1, stderr: expect.stringContaining('overwrites none') })
  rmSync(gateway.folder.file('apostille.db'))

  const unsaid = await run('restore', file)
  expect(unsaid).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Give --keep-old-trust, or --no-keep-old-trust'),
  })
  const restored = await run('restore', file, '--no-keep-old-trust', '--output', 'json')
  expect([restored.code, restored.stderr]).toEqual([0, ''])
  expect(JSON.parse(restored.stdout)).toMatchObject({
    store: gateway.folder.file('apostille.db'),
    trust_domain: 'example.org',
    old_authorities_trusted: false,
    join_tokens_voided: 0,
    bundle_sequence: expect.any(Number),
  })

  const again = startCli(['serve', '--config', gateway.config, '--output', 'json'], { cwd: gateway.folder.path })
  await again.until('stdout', /\}\n$/)
  expect(await run('records', 'verify')).toMatchObject({ code: 0, stdout: expect.stringContaining('whole') })
  await again.stop()
})

test.each([
  ['a backup that is not there', ['restore', '/nowhere/x', '--keep-old-trust'], 'there is no backup at /nowhere/x'],
  ['a gateway that does not run', ['backup', '/nowhere/x'], 'the gateway is not running'],
])('%s is said', async (_, args, told) => {
  expect(await run(...args)).toMatchObject({ code: 1, stderr: expect.stringContaining(told) })
})
