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
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
// In a project of yours: from 'apostille/node'
import { authorizeMemberOf, createMtlsServer, createX509Source, peerOf } from '../../src/node.ts'
import { setting, shortLives } from '../support/settings.ts'

const allowedCaller = setting('ALLOWED_CALLER')
const balances: ReadonlyMap<string, number> = new Map([
  ['DE-1001', 1250],
  ['DE-1002', 80],
])

const source = await createX509Source(shortLives())
source.events.on('failure', ({ message }) => console.log(`no renewal: ${message}`))
const { spiffeId, serialNumber } = source.svid()
const server = createMtlsServer(source, { authorize: authorizeMemberOf(spiffeId.trustDomain) }, answer)
source.events.on('svid', (svid) => console.log(`renewed: certificate ${shorten(svid.serialNumber)} is in service`))
server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  console.log(`I am ${spiffeId.uri}, certificate ${shorten(serialNumber)}`)
  console.log(`listening on https://localhost:${(server.address() as AddressInfo).port}`)
})

/** Nobody gets here without an SVID of our trust domain; this is whose it is, as long as it is good. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const caller = peerOf(request.socket)?.spiffeId.uri ?? 'somebody whose SVID has expired'
  if (caller !== allowedCaller) {
    console.log(`refused ${caller}`)
    respond(response, 403, { error: 'this caller may not see balances', caller })
  } else if (request.url === '/ticks') tick(response)
  else {
    const balance = balances.get(request.url?.replace('/balances/', '') ?? '')
    respond(response, balance === undefined ? 404 : 200, { balance })
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

function shorten(serial: string): string {
  return serial.slice(0, 8)
}

process.once('SIGTERM', () => {
  source.close()
  server.close()
  server.closeAllConnections()
})
