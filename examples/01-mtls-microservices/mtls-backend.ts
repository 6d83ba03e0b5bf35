/**
 * mtls-backend: keeps account balances, and tells them to one caller only.
 *
 * TLS demands a client certificate of the trust domain. Whose it is decides what is answered: that is authorisation by
 * SPIFFE ID. New certificates go into service while connections are open, and none is dropped.
 *
 * `ALLOWED_CALLER`: the SPIFFE ID that may ask. `PORT`: any free one by default. Others: see `../support/settings.ts`.
 *
 * @module
 */
import { constants } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { setting, svidSettings } from '../support/settings.ts'
import { PeerError, readSpiffeId } from '../support/spiffe-peer.ts'
import { createSvidSource, type X509Svid } from '../support/svid-source.ts'

const allowedCaller = setting('ALLOWED_CALLER')
const balances: ReadonlyMap<string, number> = new Map([
  ['DE-1001', 1250],
  ['DE-1002', 80],
])

const source = await createSvidSource({
  ...svidSettings(),
  onTrouble: (reason) => console.log(`no renewal: ${reason}`),
})
const server = createServer({ ...tlsOptions(source.current()), requestCert: true, rejectUnauthorized: true }, answer)
source.onRotation((svid) => {
  server.setSecureContext(tlsOptions(svid))
  console.log(`renewed: certificate ${shorten(svid.serialNumber)} is in service`)
})
server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  const { spiffeId, serialNumber } = source.current()
  console.log(`I am ${spiffeId}, certificate ${shorten(serialNumber)}`)
  console.log(`listening on https://localhost:${(server.address() as AddressInfo).port}`)
})

function tlsOptions({ certificates, key, bundle }: X509Svid) {
  // A resumed session would skip the check of the certificate, so that an old one could outlive its time.
  return {
    cert: certificates,
    key,
    ca: bundle,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const caller = callerOf(request)
  if (caller !== allowedCaller) {
    console.log(`refused ${caller}`)
    respond(response, 403, { error: 'this caller may not see balances', caller })
  } else if (request.url === '/ticks') tick(response)
  else {
    const balance = balances.get(request.url?.replace('/balances/', '') ?? '')
    respond(response, balance === undefined ? 404 : 200, { balance })
  }
}

/** The handshake let nobody in without a certificate of the trust domain; this is whose it is. */
function callerOf(request: IncomingMessage): string {
  try {
    return readSpiffeId((request.socket as TLSSocket).getPeerX509Certificate())
  } catch (error) {
    if (error instanceof PeerError) return `somebody without an SVID (${error.message})`
    throw error
  }
}

function respond(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

/** An answer that does not end, to see whether its connection lives on when certificates change. */
function tick(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/plain' })
  const timer = setInterval(() => response.write('tick\n'), 250)
  response.once('close', () => clearInterval(timer))
}

const shorten = (serialNumber: string) => serialNumber.slice(0, 8)

process.once('SIGTERM', () => {
  source.close()
  server.close()
  server.closeAllConnections()
})
