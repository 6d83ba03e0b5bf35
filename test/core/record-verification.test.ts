import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { linkRecord } from '../../src/core/record-chain.ts'
import { maxFindings } from '../../src/core/record-verification.ts'
import type { StoredRecord } from '../../src/core/store.ts'
import { buildChain, findingsOf, headOf, macKey, testMacKey, verifyRecords } from '../support/record-chain.ts'

const chain = buildChain(20)
const at = (sequence: number) => chain[sequence - 1] as StoredRecord
const without = (...gone: readonly number[]) => chain.filter(({ sequence }) => !gone.includes(sequence))
const replaced = (sequence: number, change: Partial<StoredRecord>) =>
  chain.map((record) => (record.sequence === sequence ? { ...record, ...change } : record))

/** The rows of two places exchanged, as one who can write to the table would. */
function exchanged(a: number, b: number): readonly StoredRecord[] {
  return chain.map((record) => {
    if (record.sequence === a) return { ...at(b), sequence: a }
    if (record.sequence === b) return { ...at(a), sequence: b }
    return record
  })
}

test('a whole chain has no findings', async () => {
  const report = await verifyRecords(chain, [await headOf(at(5)), await headOf(at(20))], {
    expectedHead: await headOf(at(9)),
  })
  expect(report).toEqual({
    chain: 'main',
    records: 20,
    firstSequence: 1,
    lastSequence: 20,
    heads: 3,
    findings: [],
    findingsCount: 0,
  })
})

test('an empty chain has no findings', async () => {
  expect(await verifyRecords([])).toMatchObject({ records: 0, findingsCount: 0 })
})

describe('finds what was done to the table:', () => {
  test.each<[string, readonly StoredRecord[], readonly string[]]>([
    ['a changed body', replaced(7, { body: '{"n":8}' }), ['changed 7']],
    ['a changed body of the first', replaced(1, { body: '{"n":8}' }), ['changed 1']],
    ['a changed body of the last', replaced(20, { body: '{"n":8}' }), ['changed 20']],
    ['a changed time', replaced(7, { at: new Date(0) }), ['changed 7']],
    ['a changed mac', replaced(7, { mac: Buffer.alloc(32) }), ['changed 7']],
    ['a mac of another length', replaced(7, { mac: Buffer.alloc(31) }), ['changed 7']],
    [
      'two changed in a row',
      replaced(7, { body: 'x' }).map((r) => (r.sequence === 8 ? { ...r, body: 'y' } : r)),
      ['changed 7', 'changed 8'],
    ],
    ['one deleted', without(7), ['missing 7-7']],
    ['several deleted', without(7, 8, 9, 15), ['missing 7-9', 'missing 15-15']],
    ['the first deleted', without(1, 2), ['missing 1-2']],
    [
      'one deleted and the rest renumbered',
      without(18).map((r, index) => ({ ...r, sequence: index + 1 })),
      ['changed 18', 'changed 19'],
    ],
    ['neighbours exchanged', exchanged(7, 8), ['reordered 7', 'reordered 8']],
    ['distant ones exchanged', exchanged(3, 17), ['reordered 3', 'reordered 17']],
    // Of the record that was there not even the mac is left, so that the next one can not be told to be whole.
    ['a copy in the place of another', replaced(7, { ...at(3), sequence: 7 }), ['changed 7', 'changed 8']],
    [
      'lines of an export out of order',
      [...chain.slice(0, 6), at(8), at(7), ...chain.slice(8)],
      ['missing 7-7', 'reordered 7'],
    ],
    ['a line of an export twice', [...chain.slice(0, 7), at(7), ...chain.slice(7)], ['reordered 7']],
    ['a record of another chain', replaced(7, { chain: 'other' }), ['changed 7']],
  ])('%s', async (_, records, expected) => {
    const report = await verifyRecords(records)
    expect(findingsOf(report)).toEqual(expected)
    expect(report.findingsCount).toBe(expected.length)
  })

  test('the end cut off, back to the last signed head', async () => {
    const heads = [await headOf(at(10)), await headOf(at(18))]
    expect(findingsOf(await verifyRecords(chain.slice(0, 15), heads))).toEqual(['cut_off 16-18'])
    expect(findingsOf(await verifyRecords([], heads))).toEqual(['cut_off 1-18'])
  })

  test('the end cut off with its heads, back to the head that was exported', async () => {
    const cut = chain.slice(0, 15)
    const expectedHead = await headOf(at(18))
    expect(findingsOf(await verifyRecords(cut, [await headOf(at(10))], { expectedHead }))).toEqual(['cut_off 16-18'])
    // Without it nothing tells: this is what exporting a head is for.
    expect(findingsOf(await verifyRecords(cut, [await headOf(at(10))]))).toEqual([])
  })

  test('the end cut off and written anew', async () => {
    const forked = buildChain(12).map((record) => (record.sequence > 10 ? { ...record, body: 'other' } : record))
    for (const record of forked.slice(10)) {
      const previousMac = forked[record.sequence - 2]?.mac ?? Buffer.alloc(0)
      Object.assign(record, { mac: linkRecord(macKey, { ...record, previousMac }) })
    }
    expect(findingsOf(await verifyRecords(forked, [await headOf(at(11))]))).toEqual(['head_mismatch 11'])
    expect(findingsOf(await verifyRecords(forked, [], { expectedHead: await headOf(at(12)) }))).toEqual([
      'head_mismatch 12',
    ])
  })

  test('heads that the record key did not sign', async () => {
    const forged = { ...(await headOf(at(5))), mac: Buffer.alloc(32) }
    expect(findingsOf(await verifyRecords(chain, [forged]))).toEqual(['head_signature 5', 'head_mismatch 5'])
    const renamed = { ...(await headOf(at(5))), kind: 'checkpoint' as const }
    expect(findingsOf(await verifyRecords(chain.slice(5), [renamed]))).toEqual(['head_signature 5'])
    const elsewhere = { trustDomain: 'other.example' }
    expect(findingsOf(await verifyRecords(chain, [await headOf(at(5))], elsewhere))).toEqual(['head_signature 5'])
  })
})

describe('a pruned chain', () => {
  test('goes on from its checkpoint', async () => {
    const report = await verifyRecords(chain.slice(10), [await headOf(at(10), 'checkpoint'), await headOf(at(20))])
    expect(report).toMatchObject({ records: 10, firstSequence: 11, prunedUpTo: 10, findingsCount: 0 })
    expect(await verifyRecords([], [await headOf(at(20), 'checkpoint')])).toMatchObject({
      prunedUpTo: 20,
      findingsCount: 0,
    })
  })

  test('without its checkpoint lacks its beginning', async () => {
    expect(findingsOf(await verifyRecords(chain.slice(10)))).toEqual(['missing 1-10'])
  })

  test('with the checkpoint of an earlier prune lacks what lies between', async () => {
    expect(findingsOf(await verifyRecords(chain.slice(10), [await headOf(at(8), 'checkpoint')]))).toEqual([
      'missing 9-10',
    ])
  })

  test('is compared with an exported head where that can be', async () => {
    const heads = [await headOf(at(10), 'checkpoint')]
    const compare = async (record: StoredRecord) =>
      findingsOf(await verifyRecords(chain.slice(10), heads, { expectedHead: await headOf(record) }))
    expect(await compare(at(4))).toEqual([])
    expect(await compare(at(10))).toEqual([])
    expect(await compare({ ...at(10), mac: Buffer.alloc(32) })).toEqual(['head_mismatch 10'])
  })
})

test('findings are counted beyond those that are kept', async () => {
  const records = buildChain(500).map((record) => ({ ...record, body: 'changed' }))
  const report = await verifyRecords(records)
  expect(report.findings).toHaveLength(maxFindings)
  expect(report.findingsCount).toBe(500)
})

test('no single change of a stored row goes unseen', async () => {
  const change = fc.record({
    sequence: fc.integer({ min: 1, max: 20 }),
    what: fc.constantFrom('body', 'mac', 'at', 'delete'),
    byte: fc.nat(31),
  })
  await fc.assert(
    fc.asyncProperty(change, async ({ sequence, what, byte }) => {
      if (what === 'delete' && sequence === 20) return
      const { body, mac, at: time } = at(sequence)
      const flipped = Buffer.from(mac)
      flipped[byte] = (flipped[byte] ?? 0) ^ 1
      const changes: Record<string, readonly StoredRecord[]> = {
        body: replaced(sequence, { body: `${body} ` }),
        mac: replaced(sequence, { mac: flipped }),
        at: replaced(sequence, { at: new Date(time.getTime() + 1) }),
        delete: without(sequence),
      }
      expect((await verifyRecords(changes[what] ?? [])).findings.map((finding) => finding.sequence)).toContain(sequence)
    }),
  )
})

test('every order of a chain but its own has findings', async () => {
  const order = fc.shuffledSubarray([1, 2, 3, 4, 5, 6], { minLength: 6 })
  await fc.assert(
    fc.asyncProperty(order, async (places) => {
      const rows = places.map((place, index) => ({ ...at(place), sequence: index + 1 }))
      const isWhole = places.every((place, index) => place === index + 1)
      expect((await verifyRecords(rows)).findingsCount === 0).toBe(isWhole)
    }),
  )
})

test('the mac is the HMAC of the parts, each with its length', () => {
  const text = fc.string({ unit: 'binary' })
  const link = fc.record({
    previousMac: fc.uint8Array({ maxLength: 32 }),
    chain: text,
    sequence: fc.maxSafeNat(),
    at: fc.date({ min: new Date(0), noInvalidDate: true }),
    body: text,
  })
  fc.assert(
    fc.property(link, (parts) => {
      const uint = (bytes: 4 | 8, value: number) => {
        const buffer = Buffer.alloc(8)
        buffer.writeBigUInt64BE(BigInt(value))
        return buffer.subarray(8 - bytes)
      }
      const chainName = Buffer.from(parts.chain)
      const body = Buffer.from(parts.body)
      const input = [
        uint(4, parts.previousMac.length),
        parts.previousMac,
        uint(4, chainName.length),
        chainName,
        uint(8, parts.sequence),
        uint(8, parts.at.getTime()),
        uint(4, body.length),
        body,
      ]
      const expected = createHmac('sha256', testMacKey).update(Buffer.concat(input)).digest()
      expect(linkRecord(macKey, parts).equals(expected)).toBe(true)
    }),
  )
})
