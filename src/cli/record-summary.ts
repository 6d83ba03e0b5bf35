/**
 * What an act was about, in a few words, where its record holds no reason.
 *
 * @module
 */

type Details = Readonly<Record<string, unknown>>

/** As tables show them: long enough to be told apart. */
const shownIdLength = 12

function shortId(id: unknown): string {
  const text = String(id ?? '')
  return text.length > shownIdLength ? `${text.slice(0, shownIdLength)}…` : text
}

const summaries: Readonly<Record<string, (details: Details) => string>> = {
  'join_token.create': ({ name, authenticator, uses, expires_at }) =>
    `${name} for ${authenticator}, ${uses === 1 ? '1 use' : `${uses} uses`}, until ${expires_at}`,
  'config.reload': ({ to }) => `document ${shortId(to)}`,
  'refusals.counted': ({ count, minute }) => `${count} more in the minute ${minute}`,
  'records.prune': ({ before }) => `all before ${before}`,
  'authority.sign_intermediate': ({ serial_number, expires_at }) =>
    `serial number ${shortId(serial_number)}, until ${expires_at}`,
  'federation.bundle': ({ trust_domain, source, keys_added_count, keys_removed_count }) =>
    `${trust_domain} from ${source}: ${keys_added_count} keys added, ${keys_removed_count} removed`,
}

/** Such as `x509 2f9b4bfe0a11…` of `authority.taint`. Undefined where there is nothing to say. */
export function summariseDetails(operation: string, details: Details | undefined): string | undefined {
  if (details === undefined) return undefined
  const summarise = operation.startsWith('kv.') ? summariseSecret : (ownSummary(operation) ?? summariseIds)
  const summary = summarise(details)
  return summary === '' ? undefined : summary
}

function ownSummary(operation: string) {
  return Object.hasOwn(summaries, operation) ? summaries[operation] : undefined
}

/** A path is shown as it is: shortened it would be another one. */
function summariseSecret({ path, version, versions }: Details): string {
  const numbers = Array.isArray(versions) ? versions.join(', ') : version
  return numbers === undefined ? String(path ?? '') : `${path} version ${numbers}`
}

function summariseIds({ trust_domain, ring, id }: Details): string {
  return [trust_domain, ring, id === undefined ? undefined : shortId(id)].filter((part) => part !== undefined).join(' ')
}
