/**
 * What every operation knows of the request that asks for it.
 *
 * @module
 */
import type { Proof } from './authenticate.ts'

export interface Call {
  readonly requestId: string
  /** The caller's IP address, in its canonical form; empty on a unix socket. */
  readonly address: string
  readonly proof?: Proof
  /** Name of the authenticator that the caller asks for: only narrows. */
  readonly authenticator?: string
}
