/**
 * Checks a chain of records against its macs and its signed heads, in one pass and in bounded memory.
 *
 * What it can not see: that the last records are gone together with every head that covered them, unless an exported
 * head is given; and anything that was done with the seal key in hand.
 *
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { asBuffer } from '../protocol/encoding.ts'
import { chainStart, linkRecord, verifyHead } from './record-chain.ts'
import type { StoredHead, StoredRecord } from './store.ts'

export type ChainFindingKind =
  /** Its mac is not that of its content after the record before it. */
  | 'changed'
  /** Genuine, and in the place of another. */
  | 'reordered'
  /** A gap in the numbers. */
  | 'missing'
  /** A signed head, or the head that was given, lies beyond the last record. */
  | 'cut_off'
  /** A signed head, or the head that was given, says another mac than the record has. */
  | 'head_mismatch'
  /** A head or checkpoint that the record key did not sign. */
  | 'head_signature'

export interface ChainFinding {
  readonly kind: ChainFindingKind
  readonly chain: string
  /** The first record that it is about. */
  readonly sequence: number
  /** The last one, where it is about several. */
  readonly last?: number
}

export interface ChainReport {
  readonly chain: string
  /** How many records were read. */
  readonly records: number
  readonly firstSequence?: number
  readonly lastSequence?: number
  /** Sequence up to which records were pruned; what lies there can not be checked any more. */
  readonly prunedUpTo?: number
  readonly heads: number
  /** The first {@link maxFindings} of them. */
  readonly findings: readonly ChainFinding[]
  /** How many there were. */
  readonly findingsCount: number
}

export interface ChainCheck {
  readonly chain: string
  readonly trustDomain: string
  readonly macKey: KeyObject
  /** Public half of the key that signs heads. */
  readonly recordKey: KeyObject
  /** By sequence, as stored or as exported. */
  readonly records: AsyncIterable<StoredRecord>
  /** By sequence. The first may be a checkpoint. */
  readonly heads: AsyncIterable<StoredHead>
  /** A head of this chain that was kept elsewhere. */
  readonly expectedHead?: StoredHead
}

export const maxFindings = 100
/** How many records with a wrong mac are kept to see whether they were exchanged with each other. */
const maxSuspects = 16

interface Suspect {
  readonly record: StoredRecord
  /** Macs that the record before it may have had. */
  readonly previousMacs: readonly Uint8Array[]
}

export async function verifyChain(check: ChainCheck): Promise<ChainReport> {
  const findings = createFindings(check.chain)
  const heads = createHeadCheck(check, findings)
  const start = await heads.start()
  const links = createLinkCheck(check, findings, start)

  for await (const record of check.records) {
    links.take(record)
    await heads.take(record)
  }
  await heads.end(links.lastSequence())
  links.end()
  return {
    chain: check.chain,
    ...links.summary(),
    ...(start && { prunedUpTo: start.sequence }),
    heads: heads.count(),
    findings: findings.list(),
    findingsCount: findings.count(),
  }
}

type Findings = ReturnType<typeof createFindings>

function createFindings(chain: string) {
  const kept: ChainFinding[] = []
  let count = 0
  return {
    add: (kind: ChainFindingKind, sequence: number, last?: number) => {
      count++
      if (kept.length < maxFindings) kept.push({ kind, chain, sequence, ...(last !== undefined && { last }) })
    },
    list: () => kept.toSorted((a, b) => a.sequence - b.sequence),
    count: () => count,
  }
}

/** Follows the macs from record to record. */
function createLinkCheck(check: ChainCheck, findings: Findings, start: StoredHead | undefined) {
  const suspects: Suspect[] = []
  /** Empty after a gap: then nothing is known of the record before. */
  let previousMacs: readonly Uint8Array[] = [start?.mac ?? chainStart.mac]
  let first: number | undefined
  let last = start?.sequence ?? 0
  let records = 0

  const suspect = (record: StoredRecord) => {
    if (suspects.length < maxSuspects) suspects.push({ record, previousMacs })
    else findings.add('changed', record.sequence)
  }
  const take = (record: StoredRecord) => {
    first ??= record.sequence
    records++
    if (record.sequence <= last) return findings.add('reordered', record.sequence)
    if (record.sequence > last + 1) {
      findings.add('missing', last + 1, record.sequence - 1)
      previousMacs = []
    }
    const macs = previousMacs.map((previousMac) => linkRecord(check.macKey, { ...record, previousMac }))
    const holds = macs.length === 0 || macs.some((mac) => mac.equals(record.mac))
    if (!holds) suspect(record)
    // Where only the mac was changed, the next record still follows what it was.
    previousMacs = holds ? [record.mac] : [record.mac, ...macs.slice(0, 1)]
    last = record.sequence
  }
  return {
    take,
    lastSequence: () => last,
    summary: () => ({ records, ...(first !== undefined && { firstSequence: first, lastSequence: last }) }),
    end: () => {
      for (const { kind, sequence } of explainSuspects(check.macKey, suspects)) findings.add(kind, sequence)
    },
  }
}

/** A record whose mac is right for the place of another suspect was moved; one that is right after a moved one is whole. */
function explainSuspects(macKey: KeyObject, suspects: readonly Suspect[]) {
  const places = suspects.map(({ record }) => record.sequence)
  const macs = suspects.flatMap(({ record, previousMacs }) => [record.mac, ...previousMacs])
  return suspects.flatMap(({ record }) => {
    const { sequence } = record
    const isFrom = (place: number) =>
      macs.some((previousMac) =>
        linkRecord(macKey, { ...record, sequence: place, previousMac }).equals(asBuffer(record.mac)),
      )
    if (isFrom(sequence)) return []
    const kind: ChainFindingKind = places.some(isFrom) ? 'reordered' : 'changed'
    return [{ kind, sequence }]
  })
}

/** Walks the heads beside the records. */
function createHeadCheck(check: ChainCheck, findings: Findings) {
  const heads = check.heads[Symbol.asyncIterator]()
  let expected = check.expectedHead
  let next: StoredHead | undefined
  let count = 0

  const advance = async () => {
    const result = await heads.next()
    next = result.done ? undefined : result.value
    if (next) acceptHead(next)
  }
  const acceptHead = (head: StoredHead) => {
    count++
    if (!verifyHead(check.recordKey, check.trustDomain, head)) findings.add('head_signature', head.sequence)
  }
  const compare = (head: StoredHead, record: StoredRecord) => {
    if (!asBuffer(head.mac).equals(record.mac)) findings.add('head_mismatch', head.sequence)
  }

  /** The checkpoint that the chain begins after. */
  const start = async () => {
    if (expected) acceptHead(expected)
    await advance()
    const checkpoint = next?.kind === 'checkpoint' ? next : undefined
    if (checkpoint) await advance()
    if (expected && checkpoint && expected.sequence <= checkpoint.sequence) {
      if (expected.sequence === checkpoint.sequence && !asBuffer(expected.mac).equals(checkpoint.mac))
        findings.add('head_mismatch', expected.sequence)
      expected = undefined
    }
    return checkpoint
  }
  const take = async (record: StoredRecord) => {
    if (expected?.sequence === record.sequence) {
      compare(expected, record)
      expected = undefined
    }
    // What lies below is of records that are missing, and has been found so.
    while (next && next.sequence <= record.sequence) {
      if (next.sequence === record.sequence) compare(next, record)
      await advance()
    }
  }
  const end = async (lastSequence: number) => {
    let beyond = expected !== undefined && expected.sequence > lastSequence ? expected.sequence : 0
    for (; next; await advance()) beyond = Math.max(beyond, next.sequence)
    if (beyond > lastSequence) findings.add('cut_off', lastSequence + 1, beyond)
  }
  return { start, take, end, count: () => count }
}
