/**
 * `fetch` over `node:https`, for what the built-in one cannot do: own authorities, and a say in which addresses are
 * connected to.
 *
 * @module
 */
import { lookup as dnsLookup, type LookupAddress } from 'node:dns'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import type { LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import { type ConnectionOptions, connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls'
import { readPeerChain } from '../protocol/peer-chain.ts'
import { type AddressRule, addressRefused, refuseLiteral } from './address-rule.ts'
import type { Fetch, FetchInit } from './http-client.ts'

export interface HttpsFetchOptions {
  /** PEM; trusted instead of the roots that come with Node. */
  readonly ca?: string
  /** The same, made ready: for many clients with the same hundreds of roots. It says which versions of TLS as well. */
  readonly secureContext?: SecureContext
  /**
   * Judges the server by the certificates that it shows (DER, leaf first) and throws when it is not the one that is meant;
   * then neither roots nor host names count. Asked before anything is sent.
   */
  readonly verifyPeer?: (chain: readonly Uint8Array[]) => void
  /** Asked for each address that a connection would go to. */
  readonly allowAddress: AddressRule
  /** Resolves a name to all its addresses; the system's resolver by default. */
  readonly resolve?: (host: string) => Promise<readonly LookupAddress[]>
  /** See `UpstreamPlace`. */
  readonly connections?: number
}

/** A `fetch` whose connections are kept for the next request until they are closed. */
export type HttpsFetch = Fetch & { readonly close: () => Promise<void> }

/** Rejects with what `node:https` says, or with an `UpstreamError` of code `address`. */
export function createHttpsFetch(options: HttpsFetchOptions): HttpsFetch {
  const { ca, secureContext, verifyPeer, allowAddress, resolve = resolveName, connections } = options
  const agent = new Agent({
    keepAlive: true,
    maxSockets: connections ?? Number.POSITIVE_INFINITY,
    maxFreeSockets: connections ?? 4,
    timeout: 30_000, // idle: a connection that waits longer is closed
    minVersion: 'TLSv1.2',
    lookup: createGuardedLookup(allowAddress, resolve),
    ...(ca === undefined ? {} : { ca }),
    ...(secureContext === undefined ? {} : { secureContext }),
  })
  const handshakes = new Set<TLSSocket>()
  if (verifyPeer) agent.createConnection = createVerifiedConnection(verifyPeer, handshakes)

  async function httpsFetch(url: string, init: FetchInit): Promise<Response> {
    refuseLiteral(new URL(url).hostname, allowAddress)
    const answer = await send(url, init, agent)
    return toResponse(answer)
  }

  async function close(): Promise<void> {
    agent.destroy()
    for (const socket of handshakes) socket.destroy()
  }

  return Object.assign(httpsFetch, { close })
}

const handshakeMs = 30_000

/**
 * The request waits for the callback, so that an unknown server sees nothing of it. Sessions are not resumed: the agent
 * keeps them in the function that this replaces, and a resumed one need not show its certificates again.
 *
 * @param handshakes Those under way, of which the agent does not know.
 */
function createVerifiedConnection(
  verifyPeer: (chain: readonly Uint8Array[]) => void,
  handshakes: Set<TLSSocket>,
): Agent['createConnection'] {
  return (options, callback) => {
    const socket = connectTls({ ...(options as ConnectionOptions), rejectUnauthorized: false })
    handshakes.add(socket)
    awaitHandshake(socket)
      .then(() => verifyPeer(readPeerChain(socket)))
      .finally(() => handshakes.delete(socket))
      .then(
        () => callback?.(null, socket),
        (error: Error) => {
          socket.destroy()
          callback?.(error, socket)
        },
      )
    return undefined
  }
}

async function awaitHandshake(socket: TLSSocket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const giveUp = () => socket.destroy()
  socket.setTimeout(handshakeMs, giveUp)
  socket.once('secureConnect', resolve)
  socket.once('error', reject)
  socket.once('close', () => reject(Object.assign(new Error('closed in the handshake'), { code: 'ECONNRESET' })))
  await promise
  socket.off('timeout', giveUp)
}

/** The addresses that are checked are the ones that are connected to: nothing is resolved a second time. */
function createGuardedLookup(
  allowAddress: AddressRule,
  resolve: (host: string) => Promise<readonly LookupAddress[]>,
): LookupFunction {
  return (host, options, callback) => {
    resolve(host).then(
      (found) => {
        const allowed = found.filter(({ address }) => allowAddress(address, host))
        const [first] = allowed
        if (first === undefined) callback(addressRefused(host), '', 0)
        else if (options.all === true) callback(null, [...allowed])
        else callback(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 0),
    )
  }
}

function resolveName(host: string): Promise<readonly LookupAddress[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly LookupAddress[]>()
  dnsLookup(host, { all: true }, (error, addresses) => (error === null ? resolve(addresses) : reject(error)))
  return promise
}

/** A server may end an idle connection at the moment that it is used again, which is no failure of the server. */
function send(url: string, init: FetchInit, agent: Agent): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const { method, signal, repeatable } = init
  // What is compressed would have to be inflated under a limit of its own.
  const headers = { ...init.headers, 'accept-encoding': 'identity' }
  const sent = request(url, { agent, method, headers, signal }, resolve)
  sent.on('error', (error: NodeJS.ErrnoException) => {
    const dead = sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
    if (!dead || !repeatable) return reject(error)
    // The others may be as dead: what is sent again goes over a new one, and is not sent a third time.
    for (const kept of Object.values(agent.freeSockets)) for (const socket of kept ?? []) socket.destroy()
    resolve(send(url, init, agent))
  })
  sent.end(init.body)
  return promise
}

function toResponse(answer: IncomingMessage): Response {
  const headers = new Headers()
  for (const [name, values] of Object.entries(answer.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  const status = answer.statusCode ?? 0
  const bodyless = status === 204 || status === 205 || status === 304
  if (bodyless) answer.resume()
  const body = bodyless ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>)
  return new Response(body, { status, headers })
}
