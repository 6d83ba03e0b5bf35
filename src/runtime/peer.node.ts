/**
 * What a connection of Node says of its peer: address and client certificates.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createAddressReader, type TrustedProxies } from '../http/client-address.ts'
import type { Connection } from '../http/incoming-call.ts'
import { readPeerChain } from '../protocol/peer-chain.ts'

const nobody: Connection = { address: '', certificates: [] }

/** Address and certificates of a connection do not change, so they are read once; they are judged at each request. */
export function createConnectionReader(proxies: () => TrustedProxies | undefined) {
  const peers = new WeakMap<object, Connection>()
  let reader:
    | { readonly proxies: TrustedProxies | undefined; readonly read: ReturnType<typeof createAddressReader> }
    | undefined

  function peerOf(request: IncomingMessage | Http2ServerRequest): Connection {
    const connection = 'stream' in request ? request.stream?.session : request.socket
    // A stream of HTTP/2 that is gone does not know its connection any more.
    if (connection === undefined || connection === null) return nobody
    const known = peers.get(connection)
    if (known) return known
    const peer = readPeer('socket' in connection ? (connection.socket as Socket) : connection)
    peers.set(connection, peer)
    return peer
  }

  return (request: IncomingMessage | Http2ServerRequest): Connection => {
    const peer = peerOf(request)
    const trusted = proxies()
    if (trusted === undefined) return peer
    if (reader === undefined || reader.proxies !== trusted)
      reader = { proxies: trusted, read: createAddressReader(trusted) }
    const address = reader.read(peer.address, (name) => {
      const value = request.headers[name]
      return Array.isArray(value) ? value.join(',') : value
    })
    return { ...peer, address }
  }
}

const readAddress = createAddressReader(undefined)

function readPeer(socket: Socket): Connection {
  // HTTP/2 hands out a stand-in for the socket, which has its methods but does not list them.
  const { getPeerCertificate } = socket as TLSSocket
  const certificates = typeof getPeerCertificate === 'function' ? readPeerChain(socket as TLSSocket) : []
  return { address: readAddress(socket.remoteAddress ?? '', () => undefined), certificates }
}
