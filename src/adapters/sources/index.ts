/**
 * The table of sources, besides our own store.
 *
 * @module
 */
import type { JoinEqual } from '../../core/cloud.ts'
import { type OpenSource, SourceError } from '../../core/secret-source.ts'
import type { Telemetry } from '../../core/telemetry.ts'
import type { ConnectUpstream } from '../http-client.ts'

export interface SourceDeps {
  readonly connect: ConnectUpstream
  readonly joinEqual: JoinEqual
  readonly telemetry: Pick<Telemetry, 'log'>
  readonly now: () => Date
  readonly monotonicMs: () => number
}

export function createOpenSource(_deps: SourceDeps): OpenSource {
  return ({ document: { type } }) => {
    throw new SourceError('refused', `this build has no source of type ${type}`, { code: 'no_adapter' })
  }
}
