/**
 * A network between a client and a server that a test can spoil: what it drops is gone, and neither side is told.
 *
 * @module
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type Loss = 'none' | 'to_server' | 'to_client' | 'both'

export interface LossyProxy {
  readonly host: string
  readonly port: number
  loss: Loss
  readonly close: () => Promise<void>
}

/** Of what was sent while it was lost nothing comes later: a connection that lost bytes stays silent in that direction. */
export async function startLossyProxy(to: { readonly host: string; readonly port: number }): Promise<LossyProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(to)
    carry(client, upstream, 'to_server')
    carry(upstream, client, 'to_client')
  })

  function carry(from: Socket, into: Socket, direction: Loss): void {
    let hasLost = false
    sockets.add(from)
    from.on('data', (chunk) => {
      hasLost ||= proxy.loss === direction || proxy.loss === 'both'
      if (!hasLost) into.write(chunk)
    })
    from.on('error', () => into.destroy())
    from.on('close', () => {
      sockets.delete(from)
      into.destroy()
    })
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: LossyProxy = {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    loss: 'none',
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return proxy
}
