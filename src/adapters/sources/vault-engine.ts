/**
 * The reading half of a KV v2 engine: what is in its folders, and what its secrets hold.
 *
 * @module
 */
import type { HttpAnswer } from '../http-client.ts'
import { explainAbsence, explainMount, readFrom, type Wanted } from './vault-refusal.ts'
import type { VaultSession } from './vault-session.ts'
import {
  buildList,
  buildMountQuestion,
  buildRead,
  isGone,
  readKeys,
  readMount,
  readVersion,
  type VaultPlace,
  type VaultVersion,
} from './vault-wire.ts'

export interface VaultEngineDeps {
  readonly session: Pick<VaultSession, 'ask'>
  readonly now: () => Date
}

/** Each throws a `SourceError`. */
export interface VaultEngine {
  /** A listing of anything but KV v2 would say that nothing is there, and all that was has been deleted. */
  readonly requireKv2: (signal: AbortSignal) => Promise<void>
  /** Names in a folder, those of folders with a slash at their end. */
  readonly keysIn: (folder: string, signal: AbortSignal) => Promise<readonly string[]>
  /** The current version; undefined where it is deleted or destroyed, or never was. */
  readonly read: (path: string, signal: AbortSignal) => Promise<VaultVersion | undefined>
}

export function createVaultEngine(place: VaultPlace, { session, now }: VaultEngineDeps): VaultEngine {
  const { mount } = place

  function requireAbsence(answer: HttpAnswer, wanted: Wanted): void {
    const error = explainAbsence(answer, wanted, { place, secrets: [], now: now() })
    if (error) throw error
  }

  return {
    async requireKv2(signal) {
      const wanted = {
        what: `what is mounted at ${mount}`,
        right: `something below ${mount}/, or let mount name what there is`,
      }
      const answer = await session.ask((token) => buildMountQuestion(place, token), wanted, signal)
      if (answer.status === 404) requireAbsence(answer, wanted)
      const { type, version } = readFrom(answer, place, readMount)
      if (type !== 'kv' || version !== '2') throw explainMount(place, type === 'kv' ? `KV v${version}` : type)
    },

    async keysIn(folder, signal) {
      const wanted = { what: `the list of ${mount}/${folder}`, right: `list on ${mount}/metadata/${folder}` }
      const answer = await session.ask((token) => buildList(place, token, folder), wanted, signal)
      if (answer.status !== 404) return readFrom(answer, place, readKeys)
      requireAbsence(answer, wanted)
      return []
    },

    async read(path, signal) {
      const wanted = { what: `the secret ${path}`, right: `read on ${mount}/data/${path}` }
      const answer = await session.ask((token) => buildRead(place, token, path), wanted, signal)
      if (answer.status !== 404) return readFrom(answer, place, readVersion)
      if (!isGone(answer)) requireAbsence(answer, wanted)
      return undefined
    },
  }
}
