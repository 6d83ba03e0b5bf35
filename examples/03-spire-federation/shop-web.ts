/**
 * shop-web: a workload of SPIRE. It knows nothing of Apostille's gateway: its SVID and the bundle of the other trust domain come
 * from its SPIRE agent, here as the files that `spire-agent api fetch x509 -write` leaves.
 *
 * `SVID_DIR`: the folder of these files. `ALLOWED_CALLER`: the SPIFFE ID that may ask, of the other trust domain.
 *
 * @module
 */
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
// In a project of yours: from 'apostille/node'
import { authorizeMemberOf, createMtlsServer, createX509FileSource, parseSpiffeId, peerOf } from '../../src/node.ts'
import { setting } from '../support/settings.ts'

const allowedCaller = parseSpiffeId(setting('ALLOWED_CALLER'))
const at = (name: string) => join(setting('SVID_DIR'), name)

const source = await createX509FileSource({
  files: {
    certFile: at('svid.0.pem'),
    keyFile: at('svid.0.key'),
    bundleFile: at('bundle.0.pem'),
    federatedBundles: { [allowedCaller.trustDomain]: at('federated_bundle.0.0.pem') },
  },
})
const authorize = authorizeMemberOf(allowedCaller.trustDomain)
const server = createMtlsServer(source, { authorize }, (request, response) => {
  const caller = peerOf(request.socket)?.spiffeId.uri
  const isAllowed = caller === allowedCaller.uri
  console.log(`${isAllowed ? 'accepted' : 'refused'} ${caller}`)
  response.writeHead(isAllowed ? 200 : 403, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ caller }))
})
server.listen(0, '127.0.0.1', () => {
  console.log(`listening on https://localhost:${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => {
  source.close()
  server.close()
})
