/** TLS from files that are replaced while the gateway runs. */
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { createTestAuthority, type ServerCertificate } from '../support/tls.ts'
import { openTls, type WireTarget } from '../support/wire.ts'

const folder = mkdtempSync(join(tmpdir(), 'apostille-tls-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function write({ cert, key }: ServerCertificate): void {
  for (const [name, text] of [
    ['tls.crt', cert],
    ['tls.key', key],
  ] as const) {
    writeFileSync(join(folder, `${name}.new`), text)
    renameSync(join(folder, `${name}.new`), join(folder, name))
  }
}

async function serialShown(target: WireTarget): Promise<string> {
  const socket = openTls({ ...target, tls: { ...target.tls, rejectUnauthorized: false } })
  await once(socket, 'secureConnect')
  const { raw } = socket.getPeerCertificate()
  socket.destroy()
  return new X509Certificate(raw).fingerprint256
}

test('a replaced certificate is shown within seconds', async () => {
  const authority = await createTestAuthority()
  const [first, second] = [await authority.issue(), await authority.issue()]
  const print = ({ cert }: ServerCertificate) => new X509Certificate(cert).fingerprint256
  write(first)
  const tls = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  await using gateway = await startGateway({ document: { listen: { address: '127.0.0.1:0', tls } } })
  expect(await serialShown(gateway.target)).toBe(print(first))

  write(second)
  await expect.poll(() => serialShown(gateway.target), { timeout: 15_000 }).toBe(print(second))
})
