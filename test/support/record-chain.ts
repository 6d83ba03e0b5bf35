import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { type ChainLink, chainStart, createMacKey, linkRecord, signHead } from '../../src/core/record-chain.ts'
import { type ChainCheck, type ChainReport, verifyChain } from '../../src/core/record-verification.ts'
import type { StoredHead, StoredRecord } from '../../src/core/store.ts'
import type { Signer } from '../../src/protocol/signer.ts'

export const testMacKey = Buffer.alloc(32, 7)
export const macKey: KeyObject = createMacKey(testMacKey)

const recordKeys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
export const recordKey = recordKeys.publicKey
export const recordSigner: Signer = {
  algorithm: 'ES256',
  publicKey: recordKeys.publicKey.export({ type: 'spki', format: 'der' }),
  sign: (data) => sign('sha256', data, recordKeys.privateKey),
}

const noon = Date.parse('2026-01-01T12:00:00.000Z')

/** A chain of records 1 to `count`, one a second. */
export function buildChain(count: number, chain = 'main'): readonly StoredRecord[] {
  const records: StoredRecord[] = []
  for (let sequence = 1; sequence <= count; sequence++) {
    const previousMac = records.at(-1)?.mac ?? chainStart.mac
    const at = new Date(noon + sequence * 1000)
    const link: ChainLink = { previousMac, chain, sequence, at, body: JSON.stringify({ n: sequence }) }
    records.push({ chain, sequence, at, mac: linkRecord(macKey, link), body: link.body })
  }
  return records
}

export function headOf(record: StoredRecord, kind: 'head' | 'checkpoint' = 'head'): Promise<StoredHead> {
  const { chain, sequence, mac, at } = record
  return signHead(recordSigner, 'example.org', { chain, sequence, mac, at, kind })
}

async function* each<Item>(items: readonly Item[]): AsyncIterable<Item> {
  yield* items
}

export function verifyRecords(
  records: readonly StoredRecord[],
  heads: readonly StoredHead[] = [],
  change: Partial<ChainCheck> = {},
): Promise<ChainReport> {
  const sources = { records: each(records), heads: each(heads) }
  return verifyChain({ chain: 'main', trustDomain: 'example.org', macKey, recordKey, ...sources, ...change })
}

/** Kind and place of each finding: `changed 7`, `missing 3-5`. */
export function findingsOf(report: ChainReport): readonly string[] {
  return report.findings.map(({ kind, sequence, last }) => `${kind} ${sequence}${last === undefined ? '' : `-${last}`}`)
}
