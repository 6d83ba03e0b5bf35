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
  readonly freshUntil: Date
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
    if (held.delete(key)) bytes -= sizeOf(entry)
  }

  return {
    get: (key) => held.get(key),
    set(key, entry, now) {
      const replaced = held.get(key)
      if (replaced) forget(key, replaced)
      for (const [oldKey, old] of held) {
        const full = held.size >= maxEntries || bytes + sizeOf(entry) > maxBytes
        if (!full && now < old.credential.expiresAt) break
        forget(oldKey, old)
      }
      held.set(key, entry)
      bytes += sizeOf(entry)
    },
  }
}

function sizeOf({ credential }: HeldCredential): number {
  return credential.type === 'aws' ? credential.sessionToken.length : credential.accessToken.length
}
