/**
 * shop-web: a workload of SPIRE. It knows nothing of Apostille: its SVID and the bundle of the other trust domain come from
 * its SPIRE agent, here as the files that `spire-agent api fetch x509 -write` leaves.
 *
 * `SVID_DIR`: the folder of these files. `ALLOWED_CALLER`: the SPIFFE ID that may ask, of the other trust domain.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { setting } from '../support/settings.ts'
import { PeerError, readSpiffeId } from '../support/spiffe-peer.ts'

const allowedCaller = setting('ALLOWED_CALLER')
const read = (name: string) => readFileSync(join(setting('SVID_DIR'), name), 'utf8')

const server = createServer(
  {
    cert: read('svid.0.pem'),
    key: read('svid.0.key'),
    ca: read('federated_bundle.0.0.pem'), // the authorities of the other trust domain, and no other
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  },
  (request, response) => {
    const caller = callerOf(request.socket as TLSSocket)
    const isAllowed = caller === allowedCaller
    console.log(`${isAllowed ? 'accepted' : 'refused'} ${caller}`)
    response.writeHead(isAllowed ? 200 : 403, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ caller }))
  },
)
server.listen(0, '127.0.0.1', () => {
  console.log(`listening on https://localhost:${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => server.close())

function callerOf(socket: TLSSocket): string {
  try {
    return readSpiffeId(socket.getPeerX509Certificate())
  } catch (error) {
    if (error instanceof PeerError) return `somebody without an SVID (${error.message})`
    throw error
  }
}
