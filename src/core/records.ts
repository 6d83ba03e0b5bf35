/**
 * What operators do with records: list, follow, export, verify and prune them.
 *
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { formatHex, formatPem } from '../protocol/encoding.ts'
import type { RecordWriter } from './audit.ts'
import { formatHead, readRecordKey, signHead } from './record-chain.ts'
import type { RecordKeys } from './record-keys.ts'
import { endPosition, listRecords, type RecordListQuery, type RecordPage } from './record-list.ts'
import { type ChainReport, verifyChain } from './record-verification.ts'
import { Refusal } from './refusal.ts'
import type { Store, StoredHead, StoredRecord } from './store.ts'

export interface RecordsDeps {
  readonly store: Store
  readonly writer: RecordWriter
  readonly keys: RecordKeys
  readonly trustDomain: string
  readonly now: () => Date
}

export interface PruneRequest {
  /** Records that were kept before this time go, up to the first of their chain that was not. Not in the future. */
  readonly before: Date
  readonly requestId?: string
}

export interface Records {
  /** @throws {Refusal} `malformed_request` for an `after` that is none of ours */
  readonly list: (query: RecordListQuery) => Promise<RecordPage>
  /** What came after a position, oldest first; without one, nothing but the position to go on from. Meant to be asked again. */
  readonly follow: (query: Omit<RecordListQuery, 'newestFirst'>) => Promise<RecordPage>
  /** Lines of JSON: each record with its place in its chain, and at the end the signed heads. */
  readonly exportLines: () => AsyncIterable<string>
  /** One report for each chain. `expectedHead` is one that was exported earlier. */
  readonly verify: (request?: { readonly expectedHead?: StoredHead }) => Promise<readonly ChainReport[]>
  /** @throws {Refusal} `malformed_request` when `before` lies in the future */
  readonly prune: (request: PruneRequest) => Promise<{ readonly removed: number }>
  /** Signs and keeps where the writer's chain stands, when that is not where it stood the last time: each minute and at a stop. */
  readonly signHeads: () => Promise<void>
  /** Signs and keeps where a chain stands that nobody writes any more, unless that is signed already. */
  readonly signHeadOf: (chain: string) => Promise<void>
  /** Public half of the key that signs heads, PEM. */
  readonly publicKey: () => string
}

const pageSize = 1000

export function createRecords(deps: RecordsDeps): Records {
  const { store, keys } = deps
  return {
    list: (query) => listRecords(store, query),
    follow: async (query) => {
      if (query.after !== undefined) return listRecords(store, query)
      return { items: [], position: await endPosition(store) }
    },
    exportLines: () => exportLines(store),
    verify: (request) => verify(deps, request?.expectedHead),
    prune: (request) => prune(deps, request),
    signHeads: createHeadSigner(deps),
    signHeadOf: (chain) => signLast(deps, chain),
    publicKey: () => formatPem('PUBLIC KEY', keys.signer.publicKey),
  }
}

async function* exportLines(store: Store): AsyncIterable<string> {
  const chains = await store.listChains()
  for (const chain of chains) for await (const record of recordsOf(store, chain)) yield formatLine(record)
  for (const chain of chains)
    for await (const head of headsOf(store, chain)) yield `${JSON.stringify({ head: formatHead(head) })}\n`
}

/** The body is put in as it is: its mac is over these very characters. */
function formatLine(record: StoredRecord): string {
  const { chain, sequence, at, mac, body } = record
  const place = JSON.stringify({ chain, sequence, time: at.toISOString(), mac: formatHex(mac) })
  return `${place.slice(0, -1)},"record":${body}}\n`
}

async function verify(deps: RecordsDeps, expected: StoredHead | undefined): Promise<readonly ChainReport[]> {
  const recordKey = readRecordKey(deps.keys.signer.publicKey)
  const chains = new Set(await deps.store.listChains())
  // A chain of which nothing is left is no longer listed.
  if (expected) chains.add(expected.chain)
  const reports: ChainReport[] = []
  for (const chain of chains) reports.push(await verifyStoredChain(deps, recordKey, chain, expected))
  return reports
}

function verifyStoredChain(deps: RecordsDeps, recordKey: KeyObject, chain: string, expected: StoredHead | undefined) {
  const { store, trustDomain, keys } = deps
  return verifyChain({
    chain,
    trustDomain,
    macKey: keys.macKey,
    recordKey,
    records: recordsOf(store, chain),
    heads: headsOf(store, chain),
    ...(expected?.chain === chain && { expectedHead: expected }),
  })
}

async function* recordsOf(store: Store, chain: string): AsyncIterable<StoredRecord> {
  for (let after = 0; ; ) {
    const page = await store.readRecords({ chain, after, limit: pageSize })
    yield* page
    if (page.length < pageSize) return
    after = page.at(-1)?.sequence ?? after
  }
}

/** A head and a checkpoint may share a sequence number, so that a page never ends between them. */
async function* headsOf(store: Store, chain: string): AsyncIterable<StoredHead> {
  for (let after = 0; ; ) {
    const page = await store.readHeads({ chain, after, limit: pageSize })
    const whole = page.length < pageSize ? page : page.filter((head) => head.sequence !== page.at(-1)?.sequence)
    yield* whole
    if (page.length < pageSize) return
    after = whole.at(-1)?.sequence ?? after
  }
}

async function prune(deps: RecordsDeps, request: PruneRequest): Promise<{ readonly removed: number }> {
  const { before, requestId } = request
  const now = deps.now()
  if (before > now)
    throw new Refusal('malformed_request', 'pruning of the future', { detail: '`before` lies in the future' })
  const details = { before: before.toISOString() }
  await deps.writer.append([
    { time: now, operation: 'records.prune', decision: 'granted', ...(requestId && { requestId }), details },
  ])
  let removed = 0
  for (const chain of await deps.store.listChains()) removed += await pruneChain(deps, chain, before, now)
  return { removed }
}

/** Page by page, each with a checkpoint of its own, so that nobody waits for millions of rows to go. */
async function pruneChain(deps: RecordsDeps, chain: string, before: Date, now: Date): Promise<number> {
  let removed = 0
  for (;;) {
    const page = await deps.store.readRecords({ chain, limit: pageSize })
    const stays = page.findIndex((record) => record.at >= before)
    const last = page.at(stays < 0 ? page.length - 1 : stays - 1)
    if (stays === 0 || last === undefined) return removed
    const end = { chain, sequence: last.sequence, mac: last.mac, at: now, kind: 'checkpoint' as const }
    removed += await deps.store.pruneRecords(await signHead(deps.keys.signer, deps.trustDomain, end))
    if (stays > 0) return removed
  }
}

function createHeadSigner(deps: RecordsDeps) {
  let signed: Pick<StoredHead, 'chain' | 'sequence'> = { chain: '', sequence: 0 }
  return async () => {
    const head = deps.writer.head()
    if (head.sequence === 0 || (head.chain === signed.chain && head.sequence <= signed.sequence)) return
    await writeHead(deps, head)
    signed = head
  }
}

async function signLast(deps: RecordsDeps, chain: string): Promise<void> {
  const last = await deps.store.lastRecord(chain)
  const [head] = await deps.store.readHeads({ chain, newestFirst: true, limit: 1 })
  if (last !== undefined && last.sequence > (head?.sequence ?? 0)) await writeHead(deps, last)
}

async function writeHead(
  { store, keys, trustDomain, now }: RecordsDeps,
  { chain, sequence, mac }: Pick<StoredHead, 'chain' | 'sequence' | 'mac'>,
): Promise<void> {
  await store.writeHead(await signHead(keys.signer, trustDomain, { chain, sequence, mac, at: now(), kind: 'head' }))
}
