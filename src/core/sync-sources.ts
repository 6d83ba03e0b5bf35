/**
 * The sources of the syncs, open as long as the configuration has them: some tell of changes as they happen.
 *
 * @module
 */
import type { OpenSource, SecretSource } from './secret-source.ts'
import type { Sync, SyncSet } from './sync.ts'

export interface SyncSourcesDeps {
  /** Our own store, which is never closed. */
  readonly kv: SecretSource
  readonly openSource: OpenSource
  /** A JWT-SVID of the sync. @throws {SourceError} */
  readonly token: (sync: Sync, audience: string) => Promise<string>
  /** A path that the sync matches may have changed. */
  readonly onChange: (sync: string) => void
}

export interface SyncSources {
  readonly of: (sync: Sync) => SecretSource
  /** Opens and watches those of these syncs, and ends all others. */
  readonly adopt: (syncs: SyncSet) => void
  readonly close: () => Promise<void>
}

interface Opened {
  /** Of the sync: with another one its source may be another. */
  readonly digest: string
  readonly source: SecretSource
  readonly end: () => Promise<void>
}

export function createSyncSources(deps: SyncSourcesDeps): SyncSources {
  const opened = new Map<string, Opened>()

  function open(sync: Sync): Opened {
    const { name, document, source: there } = sync
    const source =
      there === undefined
        ? deps.kv
        : deps.openSource({
            name: document.source,
            document: there,
            token: (audience) => deps.token(sync, audience),
          })
    const unwatch = source.watch?.((path) => {
      if (sync.matches(path)) deps.onChange(name)
    })
    const end = async () => {
      unwatch?.()
      if (there !== undefined) await source.close?.()
    }
    return { digest: sync.digest, source, end }
  }

  function have(sync: Sync): Opened {
    const former = opened.get(sync.name)
    if (former?.digest === sync.digest) return former
    const next = open(sync)
    opened.set(sync.name, next)
    void former?.end().catch(() => undefined)
    return next
  }

  return {
    of: (sync) => have(sync).source,
    adopt(syncs) {
      for (const sync of syncs.values()) {
        try {
          have(sync)
        } catch {
          // Whatever keeps it from being opened is told by the run that needs it.
        }
      }
      for (const [name, { end }] of opened) {
        if (syncs.has(name)) continue
        opened.delete(name)
        void end().catch(() => undefined)
      }
    },
    async close() {
      await Promise.all([...opened.values()].map(({ end }) => end()))
      opened.clear()
    },
  }
}
