/**
 * An HTTPS server on a loopback port, for tests that need an upstream to misbehave.
 *
 * @module
 */

import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { ServerCertificate } from './tls.ts'

export interface HttpsServer {
  readonly port: number
  /** `https://localhost:<port>` */
  readonly origin: string
  /** Ends open connections too. */
  readonly close: () => Promise<void>
}

/** @param port 0 by default: any that is free. */
export async function startHttpsServer(
  tls: ServerCertificate,
  listener: RequestListener,
  port = 0,
): Promise<HttpsServer> {
  const server = createServer({ ...tls }, listener)
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject).listen(port, '127.0.0.1', listening.resolve)
  await listening.promise
  const { port: bound } = server.address() as AddressInfo

  async function close(): Promise<void> {
    const closed = Promise.withResolvers<void>()
    server.close(() => closed.resolve())
    server.closeAllConnections()
    await closed.promise
  }

  return { port: bound, origin: `https://localhost:${bound}`, close }
}
