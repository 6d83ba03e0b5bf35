/**
 * The table of destinations.
 *
 * @module
 */
import { DestinationError, type OpenDestination } from '../../core/secret-destination.ts'
import type { ConnectUpstream } from '../http-client.ts'

export interface DestinationDeps {
  readonly connect: ConnectUpstream
  readonly now: () => Date
  /** Resolves after `ms`, or rejects when nobody waits any longer. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>
}

export function createOpenDestination(_deps: DestinationDeps): OpenDestination {
  return ({ document: { type } }) => {
    throw new DestinationError('refused', `this build has no destination of type ${type}`, { code: 'no_adapter' })
  }
}
