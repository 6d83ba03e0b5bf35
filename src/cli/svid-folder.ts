/**
 * The folder of `svid x509 --watch DIR`, written.
 *
 * Each version is a folder of its own that never changes; `..data` leads to the current one, and the names beside it through
 * that link, as in volumes of Kubernetes. One rename makes certificate, key and bundles new together. The version before
 * stays until the next one, for who is just reading it.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readlink, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { formatPem } from '../protocol/encoding.ts'
import type { TrustBundle } from '../protocol/trust-bundle.ts'
import { replaceFiles } from '../runtime/replace-file.node.ts'
import { folderNames, type X509Material } from '../sdk/x509-folder.node.ts'
import { makeFolder, translateFileError } from './files.ts'

/** Paths, as who reads them names them. */
export interface SvidFiles {
  readonly certificate: string
  readonly key: string
  readonly bundle: string
}

export function svidFilesOf(folder: string): SvidFiles {
  return {
    certificate: join(folder, folderNames.certificates),
    key: join(folder, folderNames.key),
    bundle: join(folder, folderNames.bundle),
  }
}

/** @throws {CliError} `file` */
export async function writeSvidFolder(folder: string, material: X509Material): Promise<void> {
  await makeFolder(folder)
  await translateFileError(folder, async () => {
    const before = await linkOf(folder, folderNames.current)
    const version = await writeVersion(folder, material)
    await replaceLink(folder, folderNames.current, version)
    // The certificate goes last: whoever waits for it finds the others there.
    const { federated, bundle, key, certificates } = folderNames
    const names = material.bundles.length > 1 ? [federated, bundle, key, certificates] : [bundle, key, certificates]
    for (const name of names) await makeLink(folder, name)
    await removeVersions(folder, [before, version])
  })
}

const versionPrefix = '..svid-'

async function writeVersion(folder: string, { svid, bundles }: X509Material): Promise<string> {
  const version = `${versionPrefix}${svid.serialNumber.slice(0, 8)}-${randomBytes(4).toString('hex')}`
  const path = join(folder, version)
  const [own, ...federated] = bundles
  const open = federated.length > 0 ? [path, join(path, folderNames.federated)] : [path]
  for (const each of open) {
    await mkdir(each)
    await chmod(each, 0o755)
  }
  await replaceFiles([
    { path: join(path, folderNames.key), content: svid.privateKey, mode: 0o600 },
    { path: join(path, folderNames.certificates), content: svid.certificates, mode: 0o644 },
    { path: join(path, folderNames.bundle), content: own ? pemOf(own) : '', mode: 0o644 },
    ...federated.map((bundle) => ({
      path: join(path, folderNames.federated, `${bundle.trustDomain}.pem`),
      content: pemOf(bundle),
      mode: 0o644,
    })),
  ])
  return version
}

function pemOf({ x509Authorities }: TrustBundle): string {
  return x509Authorities.map((der) => formatPem('CERTIFICATE', der)).join('')
}

async function makeLink(folder: string, name: string): Promise<void> {
  const target = `${folderNames.current}/${name}`
  if ((await linkOf(folder, name)) !== target) await replaceLink(folder, name, target)
}

async function linkOf(folder: string, name: string): Promise<string | undefined> {
  return readlink(join(folder, name)).catch(() => undefined)
}

async function replaceLink(folder: string, name: string, target: string): Promise<void> {
  const draft = join(folder, `..link-${randomBytes(4).toString('hex')}`)
  await symlink(target, draft)
  await rename(draft, join(folder, name))
}

async function removeVersions(folder: string, kept: readonly (string | undefined)[]): Promise<void> {
  const versions = (await readdir(folder)).filter((name) => name.startsWith(versionPrefix) && !kept.includes(name))
  for (const version of versions) await rm(join(folder, version), { recursive: true, force: true })
}
