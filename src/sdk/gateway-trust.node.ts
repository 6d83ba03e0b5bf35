/**
 * What the gateway's own certificate is checked against.
 *
 * @module
 */
import { formatPem } from '../protocol/encoding.ts'
import type { TrustBundle } from '../protocol/trust-bundle.ts'
import { readTlsFiles, type TlsMaterial } from './https-fetch.node.ts'

/**
 * The file, and with it the authorities of our own trust domain: the gateway is one of its members, and the file may be from
 * before a rotation. Without a file what Node knows.
 *
 * @param bundles That of our own trust domain is the first.
 * @throws {ApostilleError} `files`
 */
export async function readGatewayTrust(
  caFile: string | undefined,
  bundles: readonly TrustBundle[],
): Promise<Pick<TlsMaterial, 'ca'>> {
  if (caFile === undefined) return {}
  const { ca = [] } = await readTlsFiles({ caFile })
  const own = bundles[0]?.x509Authorities ?? []
  return { ca: [...[ca].flat(), ...own.map((der) => formatPem('CERTIFICATE', der))] }
}
