/**
 * Keeps an X.509-SVID fresh in a folder, for a program that reads files: `svid.pem` (leaf first), `svid.key` (mode 0600)
 * and `bundle.pem`. Each is replaced as a whole, the certificate last:
 * a reader that finds a key and a certificate that do not fit looks again.
 *
 * `APOSTILLE_SERVER`, `APOSTILLE_CA_FILE`, `APOSTILLE_TOKEN_FILE`: where Apostille is, what it is checked against, and who
 * we are. `SVID_DIR`: the folder. `SVID_TTL_SECONDS`, `RENEW_AFTER_SECONDS`: as in `svid-source.ts`.
 *
 * @module
 */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setting, svidSettings } from './settings.ts'
import { createSvidSource, type X509Svid } from './svid-source.ts'

const folder = setting('SVID_DIR')

async function keep({ bundle, key, certificates }: X509Svid): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await replace('bundle.pem', bundle, 0o644)
  await replace('svid.key', key, 0o600)
  await replace('svid.pem', certificates, 0o644)
}

async function replace(name: string, text: string, mode: number): Promise<void> {
  const path = join(folder, name)
  await writeFile(`${path}.new`, text, { mode })
  await rename(`${path}.new`, path)
}

const source = await createSvidSource({
  ...svidSettings(),
  onTrouble: (reason) => console.log(`no renewal: ${reason}`),
})
await keep(source.current())
console.log(`I am ${source.current().spiffeId}, for the program that reads ${folder}`)
source.onRotation(async (svid) => {
  await keep(svid)
  console.log('renewed')
})
process.once('SIGTERM', () => source.close())
