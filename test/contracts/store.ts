import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RecordBatch, Store, StoredHead, StoredJoinToken, StoredRecord } from '../../src/core/store.ts'

/** A store of `trustDomain`, on the same data each time until `close`. */
export interface StoreUnderTest {
  readonly open: (trustDomain: string) => Promise<Store>
  readonly close: () => Promise<void>
}

const noon = new Date('2026-01-01T12:00:00.000Z')
const later = (seconds: number) => new Date(noon.getTime() + seconds * 1000)

function record(sequence: number, chain = 'main', at = later(sequence)): StoredRecord {
  return { chain, sequence, at, mac: Buffer.alloc(32, sequence), body: `{"n":${sequence},"text":"ü\\u0000"}` }
}

function records(count: number, chain = 'main'): StoredRecord[] {
  return Array.from({ length: count }, (_, index) => record(index + 1, chain))
}

function head(sequence: number, kind: 'head' | 'checkpoint' = 'head', chain = 'main'): StoredHead {
  return {
    chain,
    sequence,
    at: later(sequence),
    mac: Buffer.alloc(32, sequence),
    kind,
    signature: Buffer.from([sequence]),
  }
}

function joinToken(id: string, change: Partial<StoredJoinToken> = {}): StoredJoinToken {
  return {
    id,
    authenticator: 'first',
    name: 'web',
    digest: randomBytes(32),
    attributes: { rack: '7' },
    uses: 1,
    usesLeft: 1,
    createdAt: noon,
    expiresAt: later(600),
    ...change,
  }
}

const sequences = (found: readonly { readonly sequence: number }[]) => found.map(({ sequence }) => sequence)
const plain = (value: unknown) =>
  JSON.parse(
    JSON.stringify(value, (_, item) =>
      item?.type === 'Buffer' ? item.data : item instanceof Uint8Array ? [...item] : item,
    ),
  )

/** What every adapter of the port `Store` does. */
export function storeContract(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(`the contract of a store: ${name}`, () => {
    let underTest: StoreUnderTest
    let store: Store

    beforeEach(async () => {
      underTest = await create()
      store = await underTest.open('example.org')
    })
    afterEach(async () => {
      await store.close()
      await underTest.close()
    })

    const append = (batch: readonly StoredRecord[]) => store.appendRecords({ records: batch, spends: [] })

    describe('documents', () => {
      test('there is none at first', async () => {
        expect(await store.readDocument('a')).toEqual({ version: 0, body: '' })
      })

      test('a document is replaced only from the version that was read', async () => {
        expect(await store.writeDocument('a', 1, 'never')).toBe(false)
        expect(await store.writeDocument('a', 0, 'one')).toBe(true)
        expect(await store.writeDocument('a', 0, 'late')).toBe(false)
        expect(await store.writeDocument('a', 1, 'two')).toBe(true)
        expect(await store.writeDocument('a', 1, 'late')).toBe(false)
        expect(await store.readDocument('a')).toEqual({ version: 2, body: 'two' })
        expect(await store.readDocument('b')).toEqual({ version: 0, body: '' })
      })

      test('names and versions are listed by their beginning', async () => {
        for (const name of ['a/2', 'a/1', 'ab', 'b/%', 'b/x']) await store.writeDocument(name, 0, 'one')
        await store.writeDocument('a/1', 1, 'two')
        expect(await store.listDocuments({ prefix: 'a/' })).toEqual([
          { name: 'a/1', version: 2 },
          { name: 'a/2', version: 1 },
        ])
        expect((await store.listDocuments({ prefix: 'b/%' })).map(({ name }) => name)).toEqual(['b/%'])
        expect(await store.listDocuments({ prefix: 'c' })).toEqual([])
      })

      test('are listed page by page, in the order of their bytes', async () => {
        const names = ['a', 'a/', 'a/B', 'a/a', 'a/a-', 'a/a.', 'a/a/b', 'a/b', 'a/é', 'a0']
        for (const name of names.toReversed()) await store.writeDocument(name, 0, 'one')
        const page = async (query: { readonly after?: string; readonly limit?: number }) =>
          (await store.listDocuments({ prefix: 'a/', ...query })).map(({ name }) => name)
        expect(await page({})).toEqual(names.slice(1, -1))
        expect(await page({ limit: 2 })).toEqual(['a/', 'a/B'])
        expect(await page({ after: 'a/B', limit: 3 })).toEqual(['a/a', 'a/a-', 'a/a.'])
        expect(await page({ after: 'a/a/\u007f' })).toEqual(['a/b', 'a/é'])
        expect(await page({ after: 'a/é' })).toEqual([])
        expect(await page({ after: 'Z', limit: 1 })).toEqual(['a/'])
      })

      test('a document is removed only in the version that was read', async () => {
        await store.writeDocument('a/x', 0, 'one')
        await store.writeDocument('a/x', 1, 'two')
        expect(await store.deleteDocument('a/x', 1)).toBe(false)
        expect(await store.deleteDocument('a/y', 0)).toBe(false)
        expect(await store.deleteDocument('a/x', 2)).toBe(true)
        expect(await store.deleteDocument('a/x', 2)).toBe(false)
        expect(await store.readDocument('a/x')).toEqual({ version: 0, body: '' })
        expect(await store.listDocuments({ prefix: 'a' })).toEqual([])
      })

      test('one that is made anew is of no version that was removed, also after others', async () => {
        for (const name of ['a/x', 'a/y', 'a', 'b/x']) await store.writeDocument(name, 0, 'one')
        for (const version of [1, 2, 3]) await store.writeDocument('a/x', version, 'again')
        await store.deleteDocument('a/x', 4)
        await store.deleteDocument('a/y', 1)
        await store.close()
        store = await underTest.open('example.org')
        expect(await store.writeDocument('a/x', 0, 'new')).toBe(true)
        expect(await store.writeDocument('a/x', 4, 'late')).toBe(false)
        expect((await store.readDocument('a/x')).version).toBeGreaterThan(4)
        expect(await store.readDocument('a')).toEqual({ version: 1, body: 'one' })
        await store.writeDocument('b/y', 0, 'one')
        expect((await store.readDocument('b/y')).version).toBe(1)
      })

      test('of many that write at once one succeeds', async () => {
        const written = await Promise.all([...'abcdef'].map((body) => store.writeDocument('a', 0, body)))
        expect(written.filter(Boolean)).toHaveLength(1)
      })
    })

    describe('documents that change with a record', () => {
      const change = (changes: RecordBatch['changes'], sequence = 1) =>
        store.appendRecords({ records: [record(sequence)], spends: [], ...(changes && { changes }) })

      test('are made, replaced and removed with it', async () => {
        expect(await change([{ name: 'a', expected: 0, body: 'one' }], 1)).toEqual([])
        expect(await change([{ name: 'a', expected: 1, body: 'two' }], 2)).toEqual([])
        expect(await store.readDocument('a')).toEqual({ version: 2, body: 'two' })
        expect(await change([{ name: 'a', expected: 2 }], 3)).toEqual([])
        expect(await store.readDocument('a')).toEqual({ version: 0, body: '' })
        expect((await store.lastRecord('main'))?.sequence).toBe(3)
      })

      test('are left as they are, and nothing is kept, where one is of another version', async () => {
        await store.writeDocument('a', 0, 'one')
        await store.createJoinToken(joinToken('t'))
        const batch = {
          records: [record(1)],
          spends: [
            { id: 't', at: noon },
            { id: 'none', at: noon },
          ],
          changes: [
            { name: 'b', expected: 0, body: 'new' },
            { name: 'a', expected: 0, body: 'late' },
            { name: 'a', expected: 1, body: 'two' },
            { name: 'a', expected: 1, body: 'second' },
            { name: 'c', expected: 1 },
          ],
        }
        expect(await store.appendRecords(batch)).toEqual([1, 3, 5, 6])
        expect(await store.readDocument('a')).toEqual({ version: 1, body: 'one' })
        expect(await store.readDocument('b')).toEqual({ version: 0, body: '' })
        expect((await store.readJoinToken('t'))?.usesLeft).toBe(1)
        expect(await store.lastRecord('main')).toBeUndefined()
      })

      test('are left as they are where the record can not be kept', async () => {
        await append(records(1))
        await expect(change([{ name: 'a', expected: 0, body: 'one' }])).rejects.toMatchObject({ code: 'conflict' })
        expect(await store.readDocument('a')).toEqual({ version: 0, body: '' })
      })
    })

    describe('records', () => {
      test('are read back as they were given, in order', async () => {
        await append(records(3))
        expect(plain(await store.readRecords({ chain: 'main', limit: 10 }))).toEqual(plain(records(3)))
        expect(plain(await store.lastRecord('main'))).toEqual(plain(record(3)))
      })

      test('of a chain that is not there are none', async () => {
        expect(await store.lastRecord('main')).toBeUndefined()
        expect(await store.readRecords({ chain: 'main', limit: 10 })).toEqual([])
        expect(await store.readHeads({ chain: 'main', limit: 10 })).toEqual([])
        expect(await store.listChains()).toEqual([])
      })

      test('stand in chains of their own', async () => {
        await append([...records(2, 'b'), ...records(1, 'a')])
        expect(await store.listChains()).toEqual(['a', 'b'])
        expect(sequences(await store.readRecords({ chain: 'b', limit: 10 }))).toEqual([1, 2])
        expect((await store.lastRecord('a'))?.sequence).toBe(1)
      })

      test.each([
        ['the first of them', { limit: 2 }, [1, 2]],
        ['what comes after one', { after: 8, limit: 5 }, [9, 10]],
        ['the newest', { newestFirst: true, limit: 3 }, [10, 9, 8]],
        ['what comes before one', { newestFirst: true, after: 3, limit: 5 }, [2, 1]],
        ['from a time, which is included', { from: later(9), limit: 5 }, [9, 10]],
        ['until a time, which is not', { until: later(3), limit: 5 }, [1, 2]],
        [
          'between two times, newest first',
          { from: later(3), until: later(6), newestFirst: true, limit: 5 },
          [5, 4, 3],
        ],
        ['after one and from a time', { after: 6, from: later(5), limit: 2 }, [7, 8]],
        ['from a time that never was', { from: later(11), limit: 5 }, []],
      ])('a query reads %s', async (_, query, expected) => {
        await append([...records(10), ...records(10, 'other')])
        expect(sequences(await store.readRecords({ chain: 'main', ...query }))).toEqual(expected)
      })

      test('are found by time where the clock was set back, and among thousands', async () => {
        const many = Array.from({ length: 9000 }, (_, index) =>
          record(index + 1, 'main', later(index === 5000 ? -1000 : index)),
        )
        for (let at = 0; at < many.length; at += 1000) await append(many.slice(at, at + 1000))
        expect(sequences(await store.readRecords({ chain: 'main', until: noon, limit: 5 }))).toEqual([5001])
        const late = { chain: 'main', from: later(8500), limit: 2 }
        expect(sequences(await store.readRecords(late))).toEqual([8501, 8502])
        expect(sequences(await store.readRecords({ ...late, newestFirst: true }))).toEqual([9000, 8999])
        await store.pruneRecords(head(5000, 'checkpoint'))
        expect(sequences(await store.readRecords({ chain: 'main', from: noon, limit: 2 }))).toEqual([5002, 5003])
      })

      test('with a number that exists are a conflict, and none of the batch is kept', async () => {
        await append(records(2))
        await expect(append([record(3), record(2)])).rejects.toMatchObject({ code: 'conflict' })
        expect((await store.lastRecord('main'))?.sequence).toBe(2)
      })
    })

    describe('join tokens', () => {
      test('are found by digest and by id', async () => {
        const token = joinToken('a', { uses: 5, usesLeft: 5 })
        await store.createJoinToken(token)
        expect(plain(await store.findJoinToken(token.digest))).toEqual(plain(token))
        expect(plain(await store.readJoinToken('a'))).toEqual(plain(token))
        expect(await store.readJoinToken('b')).toBeUndefined()
        expect(await store.findJoinToken(randomBytes(32))).toBeUndefined()
      })

      test('are listed by id', async () => {
        for (const id of ['c', 'a', 'b']) await store.createJoinToken(joinToken(id))
        expect((await store.listJoinTokens({ limit: 2 })).map(({ id }) => id)).toEqual(['a', 'b'])
        expect((await store.listJoinTokens({ after: 'b', limit: 2 })).map(({ id }) => id)).toEqual(['c'])
      })

      test('do not share an id or a digest', async () => {
        const digest = randomBytes(32)
        await store.createJoinToken(joinToken('a', { digest }))
        await expect(store.createJoinToken(joinToken('a'))).rejects.toMatchObject({ code: 'conflict' })
        await expect(store.createJoinToken(joinToken('b', { digest }))).rejects.toMatchObject({ code: 'conflict' })
      })

      test('are revoked once', async () => {
        await store.createJoinToken(joinToken('a'))
        expect(await store.revokeJoinToken('a', later(1))).toBe(true)
        expect(await store.revokeJoinToken('a', later(2))).toBe(true)
        expect((await store.readJoinToken('a'))?.revokedAt).toEqual(later(1))
        expect(await store.revokeJoinToken('b', later(1))).toBe(false)
      })

      test('go once they expired, and were revoked, before then', async () => {
        await store.createJoinToken(joinToken('good'))
        await store.createJoinToken(joinToken('expired', { expiresAt: later(9) }))
        await store.createJoinToken(joinToken('revoked', { expiresAt: later(9) }))
        await store.createJoinToken(joinToken('revoked-good'))
        await store.revokeJoinToken('revoked', later(20))
        await store.revokeJoinToken('revoked-good', later(5))
        const left = async () => (await store.listJoinTokens({ limit: 10 })).map(({ id }) => id)
        await store.pruneJoinTokens(later(9))
        expect(await left()).toEqual(['expired', 'good', 'revoked', 'revoked-good'])
        await store.pruneJoinTokens(later(10))
        expect(await left()).toEqual(['good', 'revoked', 'revoked-good'])
        await store.pruneJoinTokens(later(21))
        expect(await left()).toEqual(['good', 'revoked-good'])
      })

      test('are spent with the records', async () => {
        await store.createJoinToken(joinToken('a', { uses: 2, usesLeft: 2 }))
        expect(await store.appendRecords({ records: [record(1)], spends: [{ id: 'a', at: noon }] })).toEqual([])
        expect((await store.readJoinToken('a'))?.usesLeft).toBe(1)
        expect((await store.lastRecord('main'))?.sequence).toBe(1)
      })

      test.each([
        ['used up', { usesLeft: 0 }, noon],
        ['expired', {}, later(600)],
        ['revoked', { revokedAt: later(-1) }, noon],
      ])('that are %s keep the records out, and the other uses', async (_, change, at) => {
        await store.createJoinToken(joinToken('good'))
        await store.createJoinToken(joinToken('bad', change))
        const spends = [
          { id: 'good', at },
          { id: 'bad', at },
          { id: 'none', at },
        ]
        const usable = at < later(600)
        expect(await store.appendRecords({ records: [record(1)], spends })).toEqual(usable ? [1, 2] : [0, 1, 2])
        expect(await store.lastRecord('main')).toBeUndefined()
        expect((await store.readJoinToken('good'))?.usesLeft).toBe(1)
      })

      test('with one use left are not spent twice in a batch', async () => {
        await store.createJoinToken(joinToken('a', { uses: 3, usesLeft: 2 }))
        const spends = [1, 2, 3, 4].map(() => ({ id: 'a', at: noon }))
        expect(await store.appendRecords({ records: [record(1)], spends })).toEqual([2, 3])
        expect(await store.appendRecords({ records: [record(1)], spends: spends.slice(0, 2) })).toEqual([])
        expect((await store.readJoinToken('a'))?.usesLeft).toBe(0)
      })

      test('are not spent by records that are a conflict', async () => {
        await append([record(1)])
        await store.createJoinToken(joinToken('a'))
        const batch = { records: [record(1)], spends: [{ id: 'a', at: noon }] }
        await expect(store.appendRecords(batch)).rejects.toMatchObject({ code: 'conflict' })
        expect((await store.readJoinToken('a'))?.usesLeft).toBe(1)
      })
    })

    describe('proofs that are good once', () => {
      const claim = (byte: number, change: { readonly at?: Date; readonly expiresAt?: Date } = {}) =>
        store.claimProof({ digest: Buffer.alloc(32, byte), at: noon, expiresAt: later(600), ...change })

      test('are claimed once, each for itself', async () => {
        expect(await claim(1)).toBe(true)
        expect(await claim(1)).toBe(false)
        expect(await claim(1, { at: later(599), expiresAt: later(9999) })).toBe(false)
        expect(await claim(2)).toBe(true)
      })

      test('of many that claim at once one succeeds', async () => {
        const claimed = await Promise.all(Array.from({ length: 10 }, () => claim(1)))
        expect(claimed.filter(Boolean)).toHaveLength(1)
      })

      test('are claimed again when the claim has expired, however many have', async () => {
        for (let byte = 0; byte < 250; byte++) await claim(byte, { expiresAt: later(byte === 7 ? 601 : 600) })
        expect(await claim(249, { at: later(600), expiresAt: later(1200) })).toBe(true)
        expect(await claim(249, { at: later(600), expiresAt: later(1200) })).toBe(false)
        expect(await claim(7, { at: later(600) })).toBe(false)
        expect(await claim(0, { at: later(600), expiresAt: later(1200) })).toBe(true)
      })
    })

    describe('heads', () => {
      test('are kept once and read by sequence', async () => {
        await append(records(5))
        for (const sequence of [4, 2, 2]) await store.writeHead(head(sequence))
        await store.writeHead({ ...head(4), signature: Buffer.from('other') })
        expect(plain(await store.readHeads({ chain: 'main', limit: 10 }))).toEqual(plain([head(2), head(4)]))
        expect(sequences(await store.readHeads({ chain: 'main', after: 2, limit: 10 }))).toEqual([4])
        expect(sequences(await store.readHeads({ chain: 'main', newestFirst: true, limit: 1 }))).toEqual([4])
        expect(sequences(await store.readHeads({ chain: 'main', newestFirst: true, after: 4, limit: 1 }))).toEqual([2])
      })

      test('and records go up to a checkpoint, which stays', async () => {
        await append([...records(5), ...records(5, 'other')])
        for (const sequence of [2, 3, 5]) await store.writeHead(head(sequence))
        expect(await store.pruneRecords(head(3, 'checkpoint'))).toBe(3)
        expect(sequences(await store.readRecords({ chain: 'main', limit: 10 }))).toEqual([4, 5])
        expect(plain(await store.readHeads({ chain: 'main', limit: 10 }))).toEqual(
          plain([head(3, 'checkpoint'), head(5)]),
        )
        expect(sequences(await store.readRecords({ chain: 'other', limit: 10 }))).toEqual([1, 2, 3, 4, 5])

        expect(await store.pruneRecords(head(2, 'checkpoint'))).toBe(0)
        expect(await store.pruneRecords(head(5, 'checkpoint'))).toBe(2)
        expect(plain(await store.readHeads({ chain: 'main', limit: 10 }))).toEqual(plain([head(5, 'checkpoint')]))
        expect(await store.lastRecord('main')).toBeUndefined()
      })
    })

    test('another trust domain sees nothing of it', async () => {
      await store.writeDocument('a', 0, 'one')
      await append(records(2))
      const token = joinToken('a')
      await store.createJoinToken(token)
      const claim = { digest: token.digest, at: noon, expiresAt: later(600) }
      expect(await store.claimProof(claim)).toBe(true)
      await store.close()

      const other = await underTest.open('other.example')
      expect((await other.readDocument('a')).version).toBe(0)
      expect(await other.listChains()).toEqual([])
      expect(await other.readRecords({ chain: 'main', limit: 5 })).toEqual([])
      expect(await other.findJoinToken(token.digest)).toBeUndefined()
      expect(await other.claimProof(claim)).toBe(true)
      expect(await other.appendRecords({ records: [record(1)], spends: [{ id: 'a', at: noon }] })).toEqual([0])
      await other.close()
      store = await underTest.open('example.org')
      expect((await store.readRecords({ chain: 'main', limit: 5 })).length).toBe(2)
    })

    test('what was kept is there when it is opened again', async () => {
      await store.writeDocument('a', 0, 'one')
      await append(records(2))
      const claim = { digest: randomBytes(32), at: noon, expiresAt: later(600) }
      expect(await store.claimProof(claim)).toBe(true)
      await store.close()
      store = await underTest.open('example.org')
      expect(await store.claimProof(claim)).toBe(false)
      expect((await store.readDocument('a')).body).toBe('one')
      expect((await store.lastRecord('main'))?.sequence).toBe(2)
    })

    test('a store that is closed says so', async () => {
      await store.check()
      await store.close()
      await store.close()
      await expect(store.check()).rejects.toMatchObject({ code: 'unavailable' })
      await expect(append([record(1)])).rejects.toMatchObject({ code: 'unavailable' })
      await expect(store.readDocument('a')).rejects.toMatchObject({ code: 'unavailable' })
    })
  })
}
