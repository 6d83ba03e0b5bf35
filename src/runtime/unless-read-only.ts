/**
 * A start on a store that takes no writes, such as a copy in another region: it is no reason not to serve what can be
 * read, and what was to be written waits for the clockwork.
 *
 * @module
 */
import { StoreError } from '../core/store.ts'
import type { Telemetry } from '../core/telemetry.ts'

/** @throws whatever `run` throws, but that the store takes no writes */
export async function unlessReadOnly(telemetry: Telemetry, what: string, run: () => Promise<unknown>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'read_only') throw error
    telemetry.log('warning', `${what} waits until the store takes writes`, { error: error.message })
  }
}
