/**
 * The gateway in a Worker by itself, without a Durable Object and without records: what issuing alone costs in workerd.
 *
 * @module
 */

import type { RecordWriter } from '../src/core/audit.ts'
import type { Store } from '../src/core/store.ts'
import { silentTelemetry } from '../src/core/telemetry.ts'
import { type Bindings, readConfiguration } from '../src/runtime/bindings.worker.ts'
import { openGateway, type WorkerGateway } from '../src/runtime/gateway.worker.ts'
import { createMemoryStore } from '../test/support/memory-store.ts'

const writer: RecordWriter = {
  append: async () => 'stored',
  head: () => ({ chain: 'main', sequence: 0, mac: new Uint8Array() }),
  isFailing: () => false,
  close: async () => undefined,
}

let opening: Promise<WorkerGateway> | undefined

function open(bindings: Bindings): Promise<WorkerGateway> {
  // Of the other methods none is called: nobody is an operator here, and no proof is a join token.
  const store = { ...createMemoryStore(), listChains: async () => [], check: async () => undefined } as unknown as Store
  const bound = readConfiguration(bindings)
  return openGateway({ ...bound, bindings, store, openWriter: async () => writer, telemetry: silentTelemetry })
}

/** Named by the configuration of a Worker that has one. */
export class Gateway {}

export default {
  async fetch(request: Request, bindings: Bindings): Promise<Response> {
    opening ??= open(bindings)
    return (await opening).answer(request)
  },
}
