/**
 * payments-api: a workload with SVIDs of Apostille, which calls a workload of SPIRE. It checks the peer against the bundle
 * of the peer's own trust domain, which Apostille keeps fresh and hands on.
 *
 * `PEER_URL` and `PEER_ID`: where the peer is, and who it must be. Others: see `../support/settings.ts`.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import type { PeerCertificate } from 'node:tls'
import { callHttps } from '../support/https-call.ts'
import { setting, svidSettings } from '../support/settings.ts'
import { PeerError, requirePeer } from '../support/spiffe-peer.ts'
import { createSvidSource } from '../support/svid-source.ts'

const peerId = setting('PEER_ID')
const source = await createSvidSource(svidSettings())
const { spiffeId, certificates, key, bundle } = source.current()
console.log(`I am ${spiffeId}`)

try {
  const { status, text } = await callHttps(setting('PEER_URL'), {
    cert: certificates,
    key,
    ca: await readBundle(trustDomainOf(peerId)),
    rejectUnauthorized: true,
    // In place of the host name: it says where a server is, the SPIFFE ID says who.
    checkServerIdentity: (_host: string, { raw }: PeerCertificate) => checkPeer(new X509Certificate(raw)),
  })
  console.log(`the peer is ${peerId}, and answered ${status}: ${text}`)
} catch (error) {
  console.log(`I hung up: ${error instanceof Error ? error.message : String(error)}`)
}
source.close()

/** PEM. A bundle says nothing of other trust domains: it is used for peers of its own alone. */
async function readBundle(trustDomain: string): Promise<string[]> {
  const { status, text } = await callHttps(`${setting('APOSTILLE_SERVER')}/v1/bundles/${trustDomain}`, { ca: bundle })
  if (status !== 200) throw new Error(`there is no bundle of ${trustDomain}: ${status}`)
  const { keys } = JSON.parse(text) as { readonly keys: readonly BundleKey[] }
  return keys
    .filter(({ use }) => use === 'x509-svid')
    .flatMap(({ x5c = [] }) => x5c)
    .map((der) => new X509Certificate(Buffer.from(der, 'base64')).toString())
}

interface BundleKey {
  readonly use?: string
  readonly x5c?: readonly string[]
}

function trustDomainOf(id: string): string {
  return new URL(id).host
}

function checkPeer(certificate: X509Certificate): Error | undefined {
  try {
    requirePeer(certificate, peerId)
    return undefined
  } catch (error) {
    if (error instanceof PeerError) return error
    throw error
  }
}
