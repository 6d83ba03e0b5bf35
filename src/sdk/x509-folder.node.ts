/**
 * A folder with an X.509-SVID and its bundles, as `apostille svid x509 --watch DIR` keeps it.
 *
 * What belongs together is in one folder that is never changed, to which the link `..data` leads; the names beside it lead
 * through that link. One rename makes all of it new.
 *
 * @module
 */
import { createPrivateKey } from 'node:crypto'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ProtocolError } from '../protocol/errors.ts'
import { parseTrustDomain } from '../protocol/spiffe-id.ts'
import type { TrustBundle } from '../protocol/trust-bundle.ts'
import { parseTrustBundle } from '../protocol/trust-bundle.ts'
import { convertToTrustBundle } from '../protocol/trust-bundle-conversion.ts'
import { ApostilleError } from './apostille-error.ts'
import { readX509Svid, type X509Svid } from './x509-svid.node.ts'

export const folderNames = {
  certificates: 'svid.pem',
  key: 'svid.key',
  bundle: 'bundle.pem',
  /** Bundles of other trust domains, each in a file `<trust domain>.pem`. */
  federated: 'federated',
  /** The link that is swapped. */
  current: '..data',
} as const

/** Paths. */
export interface X509Files {
  /** PEM, leaf first. */
  readonly certFile: string
  /** PEM. */
  readonly keyFile: string
  /** PEM, or a SPIFFE bundle. */
  readonly bundleFile: string
  /** By trust domain; PEM, or a SPIFFE bundle. */
  readonly federatedBundles: Readonly<Record<string, string>>
}

export interface X509Material {
  readonly svid: X509Svid
  /** That of the SVID's own trust domain is the first. */
  readonly bundles: readonly TrustBundle[]
}

/** Where the files of a folder are now. @throws what the file system says */
export async function filesOfFolder(folder: string): Promise<X509Files> {
  // Once, so that all are of one SVID even when the link is swapped meanwhile.
  const current = await realpath(join(folder, folderNames.certificates)).then(dirname, () => folder)
  const federated = join(current, folderNames.federated)
  const names = (await readdir(federated).catch(() => [])).filter((name) => name.endsWith('.pem'))
  return {
    certFile: join(current, folderNames.certificates),
    keyFile: join(current, folderNames.key),
    bundleFile: join(current, folderNames.bundle),
    federatedBundles: Object.fromEntries(names.map((name) => [name.slice(0, -'.pem'.length), join(federated, name)])),
  }
}

/** Another text whenever one of the files is another. @throws what the file system says */
export async function stampOf(files: X509Files): Promise<string> {
  const facts = await Promise.all(pathsOf(files).map(async (path) => [path, await stat(path)] as const))
  return facts.map(([path, { ino, mtimeMs, size }]) => `${path} ${ino} ${mtimeMs} ${size}`).join('\n')
}

function pathsOf({ certFile, keyFile, bundleFile, federatedBundles }: X509Files): readonly string[] {
  return [certFile, keyFile, bundleFile, ...Object.values(federatedBundles)]
}

/** What a folder holds. @throws {ApostilleError} `files` */
export async function readX509Folder(folder: string): Promise<X509Material> {
  return readX509Files(await filesOfFolder(folder))
}

/** @throws {ApostilleError} `files` */
export async function readX509Files(files: X509Files): Promise<X509Material> {
  const { certFile, keyFile, bundleFile, federatedBundles } = files
  const [certificates, key, bundle] = await Promise.all([certFile, keyFile, bundleFile].map(readText))
  const svid = understand(certFile, () => readX509Svid(certificates ?? '', createPrivateKey(key ?? '')))
  const own = understand(bundleFile, () => readBundle(svid.spiffeId.trustDomain, bundle ?? ''))
  const federated = Object.entries(federatedBundles).map(async ([trustDomain, path]) => {
    const text = await readText(path)
    return understand(path, () => readBundle(trustDomain, text))
  })
  return { svid, bundles: [own, ...(await Promise.all(federated))] }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new ApostilleError(`${path} can not be read (${code})`, { code: 'files', cause })
  }
}

function readBundle(name: string, text: string): TrustBundle {
  const trustDomain = parseTrustDomain(name)
  return parseTrustBundle(trustDomain, convertToTrustBundle(trustDomain, [text]))
}

/** Errors of OpenSSL and of ours quote nothing of a key, yet only what they are called is told. */
function understand<Value>(path: string, read: () => Value): Value {
  try {
    return read()
  } catch (cause) {
    const why = cause instanceof ProtocolError || cause instanceof ApostilleError ? cause.message : 'the key is no PEM'
    throw new ApostilleError(`${path} can not be used: ${why}`, { code: 'files', cause })
  }
}
