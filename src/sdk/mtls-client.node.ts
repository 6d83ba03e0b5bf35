/**
 * Mutual TLS for clients of Node: `tls`, `https` and undici.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { Agent, type AgentOptions } from 'node:https'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { chainOf } from '../protocol/peer-chain.ts'
import type { ValidX509Svid } from '../protocol/x509-svid.ts'
import { ApostilleError } from './apostille-error.ts'
import type { Authorizer } from './authorize.ts'
import { createPeerChecker } from './peer.node.ts'
import { createContextReader, createMaterialReader, minVersion } from './tls-material.node.ts'
import type { X509Source } from './x509-source.node.ts'

export interface ClientGuardOptions {
  /** Which servers will do: their SPIFFE ID is looked at in place of their host name. */
  readonly authorize: Authorizer
}

/**
 * Options for `tls.connect` and `https.request`, read for each connection, so that one object serves for good. With
 * `https.request` an agent of {@link createHttpsAgent} is the better choice: it also ends connections to servers that are not
 * trusted any more.
 */
export function mtlsClientOptions(source: X509Source, { authorize }: ClientGuardOptions): ConnectionOptions {
  const { check } = createPeerChecker({ source, authorize, purpose: 'serverAuth' })
  const read = createMaterialReader(source)
  return {
    get cert() {
      return read().cert
    },
    get key() {
      return read().key
    },
    get ca() {
      return read().ca
    },
    minVersion,
    allowPartialTrustChain: true,
    rejectUnauthorized: true,
    // Agents give a connection to whoever asks with equal options, and a check is none of these: no other has this.
    sessionIdContext: randomUUID().replaceAll('-', ''),
    checkServerIdentity: (_host, certificate) => whyNot(() => check(chainOf(certificate))),
  }
}

/** An `https.Agent` whose connections show our SVID, go to authorised servers only, and follow both as they change. */
export function createHttpsAgent(
  source: X509Source,
  { authorize, ...options }: ClientGuardOptions & AgentOptions,
): Agent {
  const open = createConnector(source, authorize)
  // Of a session that is resumed nobody checks the peer.
  const agent = new Agent({ keepAlive: true, ...options, maxCachedSessions: 0 })
  agent.createConnection = (wanted: ConnectionOptions) => open(wanted)
  return agent
}

/** What undici says of a connection that it wants. */
export interface WantedConnection {
  readonly hostname: string
  readonly port: string
  readonly protocol: string
  readonly servername?: string | undefined
}

export type UndiciConnect = (
  wanted: WantedConnection,
  callback: (...outcome: [null, TLSSocket] | [Error, null]) => void,
) => void

const handshakeDeadlineMs = 10_000

/** For `connect` of undici's dispatchers: `new Agent({ connect: createUndiciConnect(source, { authorize }) })`. */
export function createUndiciConnect(source: X509Source, { authorize }: ClientGuardOptions): UndiciConnect {
  const open = createConnector(source, authorize)
  return ({ hostname, port, protocol }, callback) => {
    // It would go out without TLS, and to nobody knows whom.
    if (protocol !== 'https:')
      return callback(new ApostilleError('mutual TLS is for https only', { code: 'usage' }), null)
    const socket = open({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 443 })
    const deadline = setTimeout(() => socket.destroy(new Error('no handshake in time')), handshakeDeadlineMs).unref()
    const fail = (error: Error) => {
      clearTimeout(deadline)
      callback(error, null)
    }
    socket.once('error', fail).once('secureConnect', () => {
      clearTimeout(deadline)
      socket.off('error', fail)
      callback(null, socket)
    })
  }
}

function createConnector(source: X509Source, authorize: Authorizer): (wanted: ConnectionOptions) => TLSSocket {
  const { check, keep } = createPeerChecker({ source, authorize, purpose: 'serverAuth' })
  const secureContext = createContextReader(source)

  return (wanted) => {
    let svid: ValidX509Svid | undefined
    const socket = connect({
      ...wanted,
      secureContext: secureContext(),
      rejectUnauthorized: true,
      checkServerIdentity: (_host, certificate) =>
        whyNot(() => {
          svid = check(chainOf(certificate))
        }),
    })
    return socket.once('secureConnect', () => svid && keep(socket, svid))
  }
}

function whyNot(check: () => void): Error | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return error as Error
  }
}
