/**
 * The bundles of our trust domain and of those that it federates with, as the gateway publishes them, kept fresh.
 *
 * @module
 */
import { formatBase64, parsePem } from '../protocol/encoding.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { parseTrustDomain, type TrustDomain } from '../protocol/spiffe-id.ts'
import { parseTrustBundle, type TrustBundle } from '../protocol/trust-bundle.ts'
import { ApostilleError } from './apostille-error.ts'
import { type Ask, longAnswerBytes } from './ask.ts'
import { bundlePath } from './client.ts'

export interface BundleFollower {
  /** Those at hand; that of our own trust domain is the first. */
  readonly bundles: () => readonly TrustBundle[]
  readonly find: (trustDomain: TrustDomain) => TrustBundle | undefined
  /** Authorities of our own trust domain, as PEM, that came with an SVID. Whether they are news. @throws {ApostilleError} */
  readonly take: (trustDomain: TrustDomain, pem: string) => boolean
  /** Asks for all; what fails leaves the last good one. Never rejects. */
  readonly refresh: (ask: Ask) => Promise<{ readonly changed: boolean; readonly failure?: ApostilleError }>
  /** As the bundles ask for, between 5 seconds and 5 minutes. */
  readonly refreshAfterMs: () => number
}

const shortestRefreshMs = 5_000
const longestRefreshMs = 5 * 60_000

/** @throws {ProtocolError} `trust_domain_name` */
export function createBundleFollower(
  federatesWith: readonly string[],
  start: readonly TrustBundle[] = [],
): BundleFollower {
  const foreign = federatesWith.map(parseTrustDomain)
  const held = new Map<TrustDomain, TrustBundle>(start.map((bundle) => [bundle.trustDomain, bundle]))
  const etags = new Map<TrustDomain, string>()
  let own = start[0]?.trustDomain

  function keep(next: TrustBundle): boolean {
    const last = held.get(next.trustDomain)
    if (last && isOlder(next, last)) return false
    held.set(next.trustDomain, next)
    return last === undefined || describe(last) !== describe(next)
  }

  async function refreshOne(ask: Ask, trustDomain: TrustDomain): Promise<boolean> {
    const etag = etags.get(trustDomain)
    const answer = await ask({
      path: bundlePath(trustDomain === own ? undefined : trustDomain),
      isPublic: true,
      maxAnswerBytes: longAnswerBytes,
      headers: etag === undefined ? {} : { 'if-none-match': etag },
    })
    if (answer.status !== 200) return false
    const changed = keep(readBundle(trustDomain, answer.text))
    const { headers } = answer
    etags.set(trustDomain, headers.get('etag') ?? '')
    return changed
  }

  return {
    bundles: () => [...held.values()],
    find: (trustDomain) => held.get(trustDomain),
    take(trustDomain, pem) {
      const x509Authorities = readAuthorities(trustDomain, pem)
      own = trustDomain
      const last = held.get(trustDomain)
      return keep({ jwtAuthorities: [], ...last, trustDomain, x509Authorities })
    },
    async refresh(ask) {
      const asked = [...(own === undefined ? [] : [own]), ...foreign.filter((name) => name !== own)]
      const results = await Promise.allSettled(asked.map((trustDomain) => refreshOne(ask, trustDomain)))
      const failure = results.find((result) => result.status === 'rejected')?.reason
      if (failure !== undefined && !(failure instanceof ApostilleError)) throw failure
      const changed = results.some((result) => result.status === 'fulfilled' && result.value)
      return { changed, ...(failure !== undefined && { failure }) }
    },
    refreshAfterMs() {
      const hints = [...held.values()].map(({ refreshHintSeconds }) => (refreshHintSeconds ?? 300) * 1000)
      return Math.max(shortestRefreshMs, Math.min(longestRefreshMs, ...hints))
    },
  }
}

/** An answer from before a rotation, out of some cache, must not undo it. */
function isOlder(next: TrustBundle, last: TrustBundle): boolean {
  return next.sequence !== undefined && last.sequence !== undefined && next.sequence < last.sequence
}

function describe({ x509Authorities, jwtAuthorities }: TrustBundle): string {
  const names = [...x509Authorities.map(formatBase64), ...jwtAuthorities.map(({ kid }) => kid)]
  return names.sort().join(' ')
}

function readAuthorities(trustDomain: TrustDomain, pem: string): readonly Uint8Array[] {
  return understand(trustDomain, () => parsePem('CERTIFICATE', pem))
}

function readBundle(trustDomain: TrustDomain, text: string): TrustBundle {
  return understand(trustDomain, () => parseTrustBundle(trustDomain, text))
}

function understand<Value>(trustDomain: TrustDomain, read: () => Value): Value {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new ApostilleError(`the bundle of ${trustDomain} is none (${cause.message})`, {
      code: 'unexpected_answer',
      cause,
    })
  }
}
