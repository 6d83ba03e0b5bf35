/**
 * The stamp that a secret carries at a destination: whose it is, where it came from, and what it holds, without telling it.
 *
 * It stands in tags of the secret there (annotations, at Google), so that nothing about single secrets has to be kept
 * here: a store that is restored from a backup, or a crash between two calls, changes nothing about what is ours.
 *
 * @module
 */

export interface OwnerStamp {
  /** This deployment, sync and destination; only what carries it is written and removed. */
  readonly owner: string
  /** For people: source and path, and the key where a secret is one of several. */
  readonly source: string
  /** For people: of the source; absent where it has none. */
  readonly revision?: string
  /** All that the write was made from but the value: while it is the same, the source need not be read. */
  readonly basis: string
  /** HMAC over name and value: equal where the value is. */
  readonly fingerprint: string
  /** HMAC over the path of the source: the same for all secrets that one path gives. */
  readonly group: string
  /** How many secrets the path gives. */
  readonly parts: number
  /**
   * Version at the destination that it speaks of, where the adapter knows it by the time that the stamp is written: with
   * another current one, somebody edited the secret. Set by the adapter.
   */
  readonly version?: string
}

/**
 * Names of the tags, all of which every destination takes as they are. Values are at most 256 characters out of letters,
 * digits, spaces and `_.:/=+-@`, which AWS asks for, and the narrowest.
 */
export const stampTags = {
  owner: 'apostille-owner',
  source: 'apostille-source',
  revision: 'apostille-revision',
  state: 'apostille-state',
  version: 'apostille-version',
} as const

/** How many tags a stamp takes at most. */
export const stampTagCount = Object.keys(stampTags).length

const stampTagPrefix = 'apostille-'

/** Whether tags of users may not be called so: the stamp's are not theirs. */
export function isStampTag(name: string): boolean {
  return name.toLowerCase().startsWith(stampTagPrefix)
}

const maxTagValue = 256
const foreignToTags = /[^A-Za-z0-9 _.:/=+\-@]/g

/** For people, so what no tag takes is shown as `_`, and what is too long as its end. */
function shownInTag(text: string): string {
  const plain = text.replaceAll(foreignToTags, '_')
  return plain.length > maxTagValue ? `..${plain.slice(2 - maxTagValue)}` : plain
}

/** The stamp as tags. */
export function formatStamp(stamp: OwnerStamp): Readonly<Record<string, string>> {
  const { owner, source, revision, basis, fingerprint, group, parts, version } = stamp
  return {
    [stampTags.owner]: owner,
    [stampTags.source]: shownInTag(source),
    ...(revision !== undefined && { [stampTags.revision]: shownInTag(revision) }),
    [stampTags.state]: [group, parts, basis, fingerprint].join(':'),
    ...(version !== undefined && { [stampTags.version]: version }),
  }
}

const statePattern = /^([A-Za-z0-9_-]{1,64}):(\d{1,6}):([A-Za-z0-9_-]{1,64}):([A-Za-z0-9_-]{1,64})$/

/**
 * The stamp among tags; undefined where nobody of ours was. One with an owner whose state can not be read is that
 * owner's still, and equals nothing, so that it is written anew.
 */
export function parseStamp(tags: Readonly<Record<string, string | undefined>>): OwnerStamp | undefined {
  const owner = tags[stampTags.owner]
  if (owner === undefined || owner === '') return undefined
  const [, group = '', parts = '0', basis = '', fingerprint = ''] = statePattern.exec(tags[stampTags.state] ?? '') ?? []
  const { [stampTags.revision]: revision, [stampTags.version]: version } = tags
  return {
    owner,
    source: tags[stampTags.source] ?? '',
    ...(revision !== undefined && { revision }),
    group,
    parts: Number(parts),
    basis,
    fingerprint,
    ...(version !== undefined && { version }),
  }
}
