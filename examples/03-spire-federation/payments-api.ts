/**
 * payments-api: a workload with SVIDs of Apostille, which calls a workload of SPIRE. It checks the peer against the bundle
 * of the peer's own trust domain, which Apostille keeps fresh and hands on.
 *
 * `PEER_URL` and `PEER_ID`: where the peer is, and who it must be. Others: see `../support/settings.ts`.
 *
 * @module
 */
// In a project of yours: from 'apostille/node'
import { authorizeId, createX509Source, mtlsClientOptions, parseSpiffeId } from '../../src/node.ts'
import { callHttps } from '../support/https-call.ts'
import { setting } from '../support/settings.ts'

const peer = parseSpiffeId(setting('PEER_ID'))
using source = await createX509Source({ federatesWith: [peer.trustDomain] })
console.log(`I am ${source.svid().spiffeId.uri}`)

try {
  const mutualTls = mtlsClientOptions(source, { authorize: authorizeId(peer.uri) })
  const { status, text } = await callHttps(setting('PEER_URL'), mutualTls)
  console.log(`the peer is ${peer.uri}, and answered ${status}: ${text}`)
} catch (error) {
  console.log(`I hung up: ${error instanceof Error ? error.message : String(error)}`)
}
