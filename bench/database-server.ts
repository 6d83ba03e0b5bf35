/**
 * A PostgreSQL server on the core of the load, which commits durably, over its unix socket.
 *
 * @module
 */
import { makeDatabase, startPostgres } from '../test/interop/support/postgres.ts'
import { cores } from './cores.ts'

export async function startDatabaseServer() {
  const stack = new AsyncDisposableStack()
  const server = await startPostgres(stack, 15, {
    settings: { fsync: 'on', synchronous_commit: 'on' },
    prefix: ['taskset', '-c', String(cores.load)],
  })
  return {
    async database(name: string): Promise<string> {
      await makeDatabase(server, name)
      return server.url(name)
    },
    close: () => stack.disposeAsync(),
  }
}
