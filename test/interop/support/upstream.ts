/**
 * Authorities above a SPIRE that are not ours: a root, and an intermediate of it in files for SPIRE's `disk` plugin.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCertificate } from '../../../src/protocol/certificate.ts'
import { formatPem } from '../../../src/protocol/encoding.ts'
import { parseTrustDomain } from '../../../src/protocol/spiffe-id.ts'
import { buildAuthorityCertificate, createX509Authority, type X509Authority } from '../../../src/protocol/x509-svid.ts'
import { makeTestKey, type TestKey } from '../../support/certificate-authority.ts'
import type { SpireWishes } from './spire.ts'

const dayMs = 86_400_000

/** An intermediate that is held to the names of the trust domain, and may have one authority below it. */
export async function makeUpstream(
  folder: string,
  trustDomain: string,
): Promise<NonNullable<SpireWishes['upstreamDisk']>> {
  const root = await makeAuthority(trustDomain, {})
  const intermediate = await makeAuthority(trustDomain, {
    issuer: root.authority,
    pathLength: 1,
    permittedUri: [trustDomain],
  })
  const at = (name: string) => join(folder, `${trustDomain}-${name}`)
  const files = { certificateFile: at('intermediate.pem'), keyFile: at('intermediate.key'), bundleFile: at('root.pem') }
  await writeFile(files.certificateFile, formatPem('CERTIFICATE', intermediate.der))
  await writeFile(files.keyFile, intermediate.key.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  await writeFile(files.bundleFile, formatPem('CERTIFICATE', root.der))
  return files
}

interface Made {
  readonly der: Buffer
  readonly key: TestKey
  readonly authority: X509Authority
}

interface Wishes {
  readonly issuer?: X509Authority
  readonly pathLength?: number
  readonly permittedUri?: readonly string[]
}

async function makeAuthority(trustDomain: string, { issuer, ...wishes }: Wishes): Promise<Made> {
  const key = makeTestKey()
  const der = await buildAuthorityCertificate({
    trustDomain: parseTrustDomain(trustDomain),
    publicKeyInfo: key.publicKeyInfo,
    serialNumber: randomBytes(16),
    notBefore: new Date(Date.now() - 300_000),
    notAfter: new Date(Date.now() + 2 * dayMs),
    ...wishes,
    ...(issuer === undefined ? { signer: key.signer } : { issuer }),
  })
  const certificate = parseCertificate(der)
  return { der, key, authority: createX509Authority({ certificate, signer: key.signer, chain: [] }) }
}
