/**
 * What a connection of Node says of its peer: address and client certificates.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Socket } from 'node:net'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { Connection } from '../http/app.ts'
import { createAddressReader, type TrustedProxies } from '../http/client-address.ts'

const maxChain = 8

/** The certificates of a connection do not change, so they are read once; they are judged at each request. */
export function createConnectionReader(proxies: () => TrustedProxies | undefined) {
  const certificates = new WeakMap<Socket, readonly Uint8Array[]>()
  let reader:
    | { readonly proxies: TrustedProxies | undefined; readonly read: ReturnType<typeof createAddressReader> }
    | undefined

  function certificatesOf(socket: Socket): readonly Uint8Array[] {
    const known = certificates.get(socket)
    if (known) return known
    const chain = 'getPeerCertificate' in socket ? readChain((socket as TLSSocket).getPeerCertificate(true)) : []
    certificates.set(socket, chain)
    return chain
  }

  return (request: IncomingMessage | Http2ServerRequest): Connection => {
    const trusted = proxies()
    if (reader === undefined || reader.proxies !== trusted)
      reader = { proxies: trusted, read: createAddressReader(trusted) }
    const socket = socketOf(request)
    return {
      address: reader.read(socket.remoteAddress ?? '', (name) => {
        const value = request.headers[name]
        return Array.isArray(value) ? value.join(',') : value
      }),
      certificates: certificatesOf(socket),
    }
  }
}

/** HTTP/2 hands out a stand-in for the socket, which refuses some of its methods. */
function socketOf(request: IncomingMessage | Http2ServerRequest): Socket {
  const session = 'stream' in request ? request.stream?.session : undefined
  return session?.socket ?? (request.socket as Socket)
}

function readChain(leaf: DetailedPeerCertificate | undefined): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let next: DetailedPeerCertificate | undefined = leaf
  while (next?.raw !== undefined && chain.length < maxChain) {
    chain.push(next.raw)
    const issuer: DetailedPeerCertificate | undefined = next.issuerCertificate
    next = issuer === next || issuer?.raw?.equals(next.raw) ? undefined : issuer
  }
  return chain
}
