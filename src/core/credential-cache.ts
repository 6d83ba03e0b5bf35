/**
 * Credentials of clouds that may be handed out again. Held in memory only, and bounded.
 *
 * @module
 */
import type { CloudCredential } from './cloud.ts'
import type { IssuedCredential } from './record.ts'

export interface HeldCredential {
  readonly credential: CloudCredential
  /** What records say of it: `jti` and `kid` are of the token that it was had for. */
  readonly issued: IssuedCredential
  /** Until then it is handed out without asking the cloud. */
  readonly freshUntil: Moment
  /** Until then it is worth handing out while the cloud is away. */
  readonly worthUntil: Moment
}

/** A point in time on both clocks, and the first of the two counts: the wall's may be set back, the other may stand still. */
export interface Moment {
  readonly at: Date
  /** Milliseconds of a clock that only grows. */
  readonly ms: number
}

export interface CredentialCache {
  readonly get: (key: string) => HeldCredential | undefined
  readonly set: (key: string, held: HeldCredential, now: Date) => void
}

const maxEntries = 20_000
const maxBytes = 64 * 1024 * 1024

/** The oldest go first. */
export function createCredentialCache(): CredentialCache {
  const held = new Map<string, HeldCredential>()
  let bytes = 0

  function forget(key: string, entry: HeldCredential): void {
    if (held.delete(key)) bytes -= sizeOf(key, entry)
  }

  return {
    get: (key) => held.get(key),
    set(key, entry, now) {
      const replaced = held.get(key)
      if (replaced) forget(key, replaced)
      for (const [oldKey, old] of held) {
        const full = held.size >= maxEntries || bytes + sizeOf(key, entry) > maxBytes
        if (!full && now < old.credential.expiresAt) break
        forget(oldKey, old)
      }
      held.set(key, entry)
      bytes += sizeOf(key, entry)
    },
  }
}

/** A key holds the tags of a session, whose values may be the workload's. */
function sizeOf(key: string, { credential }: HeldCredential): number {
  return key.length + (credential.type === 'aws' ? credential.sessionToken.length : credential.accessToken.length)
}
