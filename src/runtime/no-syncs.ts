/**
 * The syncs of a runtime that runs none: shown, and refused.
 *
 * @module
 */
import type { Configured } from '../core/configured.ts'
import { Refusal } from '../core/refusal.ts'
import type { Syncs } from '../core/syncs.ts'

export const noSyncs = 'a Worker runs no syncs: let a gateway on Node run them'

/** @param detail Why, and what to do instead. */
export function createNoSyncs(configured: () => Configured, detail: string): Syncs {
  const all = () => configured().config.syncs
  const refuse = async (): Promise<never> => {
    throw new Refusal('conflict', detail, { detail })
  }
  return {
    tick: () => undefined,
    list: async () => [...all().values()].map((sync) => ({ sync, running: false })),
    async show(name) {
      const sync = all().get(name)
      if (sync === undefined) throw new Refusal('not_found', 'the configuration in use has no sync of that name')
      return { sync, running: false }
    },
    plan: refuse,
    apply: refuse,
    close: async () => undefined,
  }
}
