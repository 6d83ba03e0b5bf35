/**
 * A request's headers and connection → what operations know of whoever asks.
 *
 * @module
 */
import type { Proof } from '../core/authenticate.ts'
import type { Call } from '../core/call.ts'

/** What a runtime knows of the connection that a request came over. */
export interface Connection {
  /** Of the peer, or behind trusted proxies of the caller. */
  readonly address: string
  /** Client certificates of TLS that ends here, DER, leaf first; empty without. */
  readonly certificates: readonly Uint8Array[]
}

/** What {@link readCall} reads of a request. */
export interface CallHeaders {
  /** All that was sent under a lower-case name, joined with `, `. */
  readonly header: (name: string) => string | undefined
  /** Whether a token may stand in `Authorization` by itself, as SDKs of AWS send it. */
  readonly bare: boolean
}

export function readCall(requestId: string, connection: Connection, { header, bare }: CallHeaders): Call {
  const proof = readProof(header('authorization'), connection.certificates, bare)
  const authenticator = header('apostille-authenticator')
  return {
    requestId,
    address: connection.address,
    ...(proof && { proof }),
    ...(authenticator !== undefined && { authenticator }),
  }
}

/** A bearer proof goes before a client certificate. Another scheme is a proof that nobody takes, never none. */
function readProof(
  authorization: string | undefined,
  certificates: readonly Uint8Array[],
  bare: boolean,
): Proof | undefined {
  if (authorization !== undefined) {
    const token = (bare ? bareOrBearer : bearer).exec(authorization)?.[1]
    return { kind: 'bearer', token: token ?? '' }
  }
  return certificates.length > 0 ? { kind: 'certificate', chain: certificates } : undefined
}

const bearer = /^bearer +([\x21-\x7e]+) *$/i
const bareOrBearer = /^(?:bearer +)?([\x21-\x7e]+) *$/i
