import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AdminSocketError, readAdminSocketPath } from '../../src/runtime/admin-client.node.ts'

let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'admin-socket-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function read(text: string): Promise<string> {
  const file = join(folder, 'apostille.yaml')
  await writeFile(file, text)
  return (await readAdminSocketPath(file)).replace(folder, '.')
}

test.each([
  ['a document without it', 'trust_domain: example.org', './data/admin.sock'],
  ['no content', '', './data/admin.sock'],
  ['a key without a value', 'admin:\nseal: x', './data/admin.sock'],
  ['the key in braces', 'a: 1\nadmin: { listen: unix:./x.sock }\nb: 1', './x.sock'],
  ['the key below', 'admin:\n# where\n\n  console: 127.0.0.1:1\n  listen: unix:./y.sock\nb: 1', './y.sock'],
  ['a document in braces', '{ admin: { listen: unix:./z.sock } }', './z.sock'],
  ['lines of other systems', 'admin:\r\n  listen: unix:./w.sock\r\nb: 1\r\n', './w.sock'],
  ['an absolute path', 'admin: { listen: unix:/run/a.sock }', '/run/a.sock'],
])('of %s', async (_, text, path) => {
  expect(await read(text)).toBe(path)
})

test.each([
  ['keys that stand twice', 'a: 1\na: 2\nadmin: { listen: unix:./x.sock }'],
  ['an open quote before it', 'a: "\nadmin: { listen: unix:./x.sock }'],
  ['an open brace after it', 'admin: { listen: unix:./x.sock }\nb: { c'],
  ['a tab', 'admin:\n  listen: unix:./x.sock\nb:\n\tc: 1'],
])('a gateway that runs is reached whatever is wrong elsewhere: %s', async (_, text) => {
  expect(await read(text)).toBe('./x.sock')
})

test.each([
  ['admin: { listen: 127.0.0.1:9000 }', /apostille\.yaml: admin\.listen names no unix socket: expected unix:PATH$/],
  ['admin: { listen: unix:x', /apostille\.yaml: admin can not be read: the text ends here, and a closing } or \] is/],
])('%s', async (text, message) => {
  const refused = read(text)
  await expect(refused).rejects.toThrow(message)
  await expect(refused).rejects.toBeInstanceOf(AdminSocketError)
})
