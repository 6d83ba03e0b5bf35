/**
 * Mutual TLS for servers of Node: `tls`, `https`, `http2`, and what is built of them.
 *
 * @module
 */

import type { RequestListener } from 'node:http'
import { createServer, type Server as HttpsServer, type ServerOptions } from 'node:https'
import type { Server, TLSSocket, TlsOptions } from 'node:tls'
import { readPeerChain } from '../protocol/peer-chain.ts'
import type { Authorizer } from './authorize.ts'
import { createPeerChecker, type PeerChecker } from './peer.node.ts'
import { createMaterialReader, minVersion } from './tls-material.node.ts'
import type { X509Source } from './x509-source.node.ts'

export interface GuardOptions {
  /** Who may connect. */
  readonly authorize: Authorizer
  /** `optional`: a client that shows no certificate is let in without a peer. Default: `required`. */
  readonly clients?: 'required' | 'optional'
}

/**
 * What a server is made with before it is guarded. It has no certificate yet, so that nobody gets through a handshake with a
 * server that was forgotten to be guarded.
 */
export const mtlsServerOptions = {
  requestCert: true,
  // Who is let in is decided by the guard: the handshake knows nothing of trust domains.
  rejectUnauthorized: false,
  minVersion,
} as const satisfies TlsOptions

/**
 * Gives `server` our certificate and puts each new one into service while connections are open, and lets in only clients
 * whose SVID their own trust domain's bundle vouches for and that `authorize` takes. Others are cut off before anything that
 * they sent is read, and are told to `tlsClientError`. When a bundle does not vouch for a client any more, its open
 * connections end.
 *
 * @param server Made with {@link mtlsServerOptions}.
 * @returns The same server.
 */
export function guardServer<Guarded extends Server>(
  server: Guarded,
  source: X509Source,
  { authorize, clients = 'required' }: GuardOptions,
): Guarded {
  const checker = createPeerChecker({ source, authorize, purpose: 'clientAuth' })
  const read = createMaterialReader(source)
  const putIntoService = () => server.setSecureContext(read())
  putIntoService()
  source.events.on('svid', putIntoService).on('bundles', putIntoService)
  server.once('close', () => source.events.off('svid', putIntoService).off('bundles', putIntoService))
  letIn(server, (socket) => admit(socket, checker, clients))
  return server
}

/** An `https.Server` that is guarded from the start. */
export function createMtlsServer(
  source: X509Source,
  { authorize, clients, ...options }: GuardOptions & ServerOptions,
  listener?: RequestListener,
): HttpsServer {
  const server = createServer({ ...options, ...mtlsServerOptions }, listener)
  return guardServer(server, source, { authorize, ...(clients !== undefined && { clients }) })
}

/** @throws whatever speaks against the peer */
function admit(socket: TLSSocket, { check, keep }: PeerChecker, clients: GuardOptions['clients']): void {
  const chain = readPeerChain(socket)
  if (chain.length === 0 && clients === 'optional') return
  keep(socket, check(chain))
}

/**
 * The event after which a connection is used is told only of those that `judge` lets in. A listener could not do that: those
 * of others, some of them there before, would be told all the same.
 */
function letIn(server: Server, judge: (socket: TLSSocket) => void): void {
  const emit = server.emit.bind(server) as (event: string | symbol, ...args: unknown[]) => boolean
  server.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event !== 'secureConnection') return emit(event, ...args)
    const [socket] = args as [TLSSocket]
    try {
      judge(socket)
    } catch (error) {
      socket.destroy()
      return emit('tlsClientError', error, socket)
    }
    return emit(event, socket)
  }
}
