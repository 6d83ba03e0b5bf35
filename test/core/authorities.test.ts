import { describe, expect, test } from 'vitest'
import { createPrometheusMetrics } from '../../src/adapters/telemetry/prometheus.ts'
import { readAuthoritySet } from '../../src/core/authority-document.ts'
import { slotSeconds } from '../../src/core/authority-plan.ts'
import { SealError } from '../../src/core/key-manager.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { StoreError } from '../../src/core/store.ts'
import { createTestAuthorities, type TestAuthorities } from '../support/authorities.ts'
import { createMemoryStore } from '../support/memory-store.ts'

const slot = slotSeconds(7 * 86_400)
const refusal = (code: string, reason: RegExp = /./) =>
  expect.objectContaining({ name: 'Refusal', code, reason: expect.stringMatching(reason) })

async function running(...input: Parameters<typeof createTestAuthorities>): Promise<TestAuthorities> {
  const world = createTestAuthorities(...input)
  await world.authorities.refresh()
  return world
}

const bodyOf = ({ store }: TestAuthorities) => store.backUp().get('authorities')

describe('a new store', () => {
  test('gets an active and a prepared authority of each kind, in one write', async () => {
    const { authorities, store } = await running()
    expect(authorities.list().map(({ ring, state }) => [ring, state])).toEqual(
      expect.arrayContaining([
        ['x509', 'active'],
        ['x509', 'prepared'],
        ['jwt/ES256', 'active'],
        ['jwt/ES256', 'prepared'],
      ]),
    )
    expect(authorities.list()).toHaveLength(4)
    expect(store.written('authorities')).toHaveLength(1)
    expect(authorities.current().x509().slotSeconds).toBe(slot)
    expect(authorities.current().jwt('ES256').algorithm).toBe('ES256')
  })

  test('signs nothing before it was read', () => {
    expect(() => createTestAuthorities().authorities.current()).toThrow(refusal('no_authority', /could not be read/))
  })

  test('stays as it is until something is due', async () => {
    const { authorities, store, pass } = await running()
    const before = authorities.current()
    pass(slot - 1)
    await authorities.refresh()
    expect(authorities.current()).toBe(before)
    expect(store.written('authorities')).toHaveLength(1)
  })
})

describe('rotation', () => {
  test('is measured: a state that no authority is in any more has no expiry', async () => {
    const { expose, ...measured } = createPrometheusMetrics(() => {})
    const world = await running({ telemetry: { ...measured, log() {} } })
    const told = async (time = 'expiry') =>
      (await expose()).body
        .split('\n')
        .filter((line) => line.startsWith(`apostille_authority_${time}_timestamp_seconds`) && line.includes('"x509"'))
        .map((line) => [/state="(\w+)"/.exec(line)?.[1], Number(line.split(' ')[1])])
        .sort()
    const start = world.now.getTime() / 1000
    expect(await told()).toEqual([
      ['active', start + 2 * slot],
      ['prepared', expect.any(Number)],
    ])
    expect(await told('active_until')).toEqual([['active', start + slot]])
    expect((await told('created')).map(([, at]) => at)).toEqual([start, start])
    world.pass(slot)
    await world.authorities.refresh()
    expect((await told()).map(([state]) => state)).toEqual(['active', 'prepared', 'retiring'])
    world.pass(slot + 1)
    world.plans = []
    await world.authorities.refresh()
    expect((await told()).map(([state]) => state)).toEqual(['retiring'])
  })

  test('deletes the private key of what retires: the stored document does not hold it any more', async () => {
    const world = await running()
    const { sealedKey = '', keyName, id } = world.one('active')
    expect(bodyOf(world)?.body).toContain(sealedKey)
    world.pass(slot)
    await world.authorities.refresh()
    expect(world.one('retiring')).toMatchObject({ id, keyName })
    expect(world.one('retiring')).not.toHaveProperty('sealedKey')
    expect(bodyOf(world)?.body).not.toContain(sealedKey)
    expect(bodyOf(world)?.body).not.toMatch(/PRIVATE|"d":/)
  })

  test('is one write, and the bundle shows it under a greater sequence', async () => {
    const world = await running()
    const before = world.authorities.current()
    world.pass(slot)
    await world.authorities.refresh()
    const after = world.authorities.current()
    expect(world.store.written('authorities')).toHaveLength(2)
    expect(after.sequence).toBe(Math.floor(world.now.getTime() / 1000))
    expect(after.sequence).toBeGreaterThan(before.sequence)
    expect(after.documents.bundle.etag).not.toBe(before.documents.bundle.etag)
    expect(after.x509().id).not.toBe(before.x509().id)
  })
})

describe('how old a snapshot may be', () => {
  async function unreadable(seconds: number): Promise<TestAuthorities> {
    const world = await running()
    world.store.beforeRead = () => {
      throw new StoreError('unavailable', 'the disk is gone')
    }
    world.pass(seconds)
    await expect(world.authorities.refresh()).rejects.toBeInstanceOf(StoreError)
    return world
  }

  test('a minute after the last read it still signs', async () => {
    expect((await unreadable(60)).authorities.current().x509()).toBeDefined()
  })

  test('after that it signs nothing', async () => {
    const { authorities } = await unreadable(60.001)
    expect(() => authorities.current()).toThrow(refusal('no_authority'))
  })

  test('it comes back with the store', async () => {
    const world = await unreadable(3600)
    world.store.beforeRead = () => {}
    await world.authorities.refresh()
    expect(world.authorities.current().x509()).toBeDefined()
  })

  test('a read counts from its beginning, however long it takes', async () => {
    const world = await running()
    world.store.beforeRead = () => world.pass(59)
    await world.authorities.refresh()
    world.pass(2)
    expect(() => world.authorities.current()).toThrow(refusal('no_authority'))
  })

  test('what it publishes stays for as long as the configuration says, and no longer', async () => {
    const world = await unreadable(86_400)
    expect(world.authorities.published().bundle.body.length).toBeGreaterThan(0)
    world.pass(0.001)
    expect(() => world.authorities.published()).toThrow(refusal('no_authority'))
  })

  test('a copy of the store that lags behind is not taken, and neither is it written over', async () => {
    const world = await running()
    const copy = world.store.backUp()
    world.pass(slot)
    await world.authorities.refresh()
    const newest = world.authorities.current()
    const present = world.store.backUp()
    world.store.restore(copy)
    world.store.beforeWrite = () => {
      throw new StoreError('read_only', 'a standby')
    }
    await expect(world.authorities.refresh()).rejects.toMatchObject({ code: 'read_only' })
    expect(world.authorities.current()).toBe(newest)
    world.store.restore(present)
    await world.authorities.refresh()
    expect(world.authorities.current()).toBe(newest)
  })

  test('the clock that may jump has no say in it', async () => {
    const world = await running()
    world.now = new Date(world.now.getTime() + 3_600_000)
    expect(world.authorities.current().x509()).toBeDefined()
  })
})

describe('a restart', () => {
  test('keeps the authorities and writes nothing', async () => {
    const first = await running()
    const second = await running({ store: first.store })
    expect(second.authorities.current().x509().id).toBe(first.authorities.current().x509().id)
    expect(second.authorities.current().documents).toEqual(first.authorities.current().documents)
    expect(first.store.written('authorities')).toHaveLength(1)
  })

  test.each([
    ['nothing is due', 0],
    ['a rotation is due', slot],
    ['everything has expired', 4 * slot],
  ])('under another seal key is an error that changes nothing, when %s', async (_, seconds) => {
    const first = await running()
    const before = bodyOf(first)
    const other = createTestAuthorities({ store: first.store, sealKey: Buffer.alloc(32, 9) })
    other.pass(seconds)
    await expect(other.authorities.refresh()).rejects.toThrow(SealError)
    await expect(other.authorities.refresh()).rejects.toThrow(/cannot be opened: the seal key is not the one/)
    expect(bodyOf(first)).toBe(before)
    expect(() => other.authorities.current()).toThrow(refusal('no_authority'))
  })

  test('finds out that the key of the successor does not open while there is time', async () => {
    const world = await running()
    const { sealedKey = '' } = world.one('prepared')
    const body = (bodyOf(world)?.body ?? '').replace(sealedKey, `${sealedKey.slice(0, -8)}AAAAAAAA`)
    world.store.restore(new Map([['authorities', { version: 2, body }]]))
    await expect(createTestAuthorities({ store: world.store }).authorities.refresh()).rejects.toThrow(SealError)
  })
})

describe('several replicas', () => {
  test('one rotates, and the others take what came of it', async () => {
    const store = createMemoryStore()
    const replicas = [await running({ store }), await running({ store }), await running({ store })]
    for (const replica of replicas) replica.pass(slot)
    await Promise.all(replicas.map(({ authorities }) => authorities.refresh()))
    expect(store.written('authorities')).toHaveLength(2)
    const ids = replicas.map(({ authorities }) => authorities.current().x509().id)
    expect(new Set(ids).size).toBe(1)
    expect(new Set(replicas.map(({ authorities }) => authorities.current().documents.bundle.etag)).size).toBe(1)
  })

  test('start on an empty store together: one makes the authorities', async () => {
    const store = createMemoryStore()
    const replicas = [1, 2, 3].map(() => createTestAuthorities({ store }))
    await Promise.all(replicas.map(({ authorities }) => authorities.refresh()))
    expect(store.written('authorities')).toHaveLength(1)
    expect(new Set(replicas.map(({ authorities }) => authorities.current().x509().id)).size).toBe(1)
  })

  test('change different things at one time, and both stand', async () => {
    const store = createMemoryStore()
    const [a, b] = [await running({ store }), await running({ store })]
    const successor = a.one('prepared', 'jwt/ES256').id
    await Promise.all([
      a.authorities.change({ action: 'taint', id: a.one('active').id }),
      b.authorities.change({ action: 'prepare', ring: 'jwt/ES256' }),
    ])
    expect(a.one('retiring').taintedAt).toEqual(a.now)
    expect(a.one('prepared', 'jwt/ES256').id).not.toBe(successor)
    expect(readAuthoritySet(store.written('authorities').at(-1) ?? '').authorities).toHaveLength(5)
  })

  test('give up after some attempts when somebody is always faster', async () => {
    const world = await running()
    let version = 1
    world.store.beforeWrite = () => {
      const document = bodyOf(world)
      world.store.restore(new Map([['authorities', { version: ++version, body: document?.body ?? '' }]]))
    }
    world.pass(slot)
    await expect(world.authorities.refresh()).rejects.toThrow(refusal('store_unavailable', /changed 8 times/))
  })

  test('a slow read of what has changed meanwhile does not undo the change', async () => {
    const world = await running()
    let goOn = () => {}
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const { readDocument } = world.store
    const authorities = world.authorities
    let reads = 0
    Object.assign(world.store, {
      readDocument: async (name: string) => {
        const document = await readDocument(name)
        if (++reads === 1) await gate
        return document
      },
    })
    const reading = authorities.refresh()
    const tainted = await authorities.change({ action: 'taint', id: world.one('active').id })
    const { sequence } = authorities.current()
    goOn()
    await reading
    expect(authorities.current().sequence).toBe(sequence)
    expect(authorities.current().x509().id).not.toBe(tainted.id)
  })
})

describe('a store that is restored', () => {
  test('under a running process is taken as it is, and the sequence does not step back', async () => {
    const world = await running()
    const old = world.store.backUp()
    const first = world.authorities.current().x509().id
    world.pass(100)
    await world.authorities.change({ action: 'activate', ring: 'x509', force: true })
    const { sequence } = world.authorities.current()
    world.store.restore(old)
    world.pass(5)
    await world.authorities.refresh()
    expect(world.authorities.current().x509().id).toBe(first)
    expect(world.authorities.current().sequence).toBeGreaterThan(sequence)
    expect(world.stored().sequence).toBe(world.authorities.current().sequence)
  })

  test('gives every change that is made after it a sequence above all that were published', async () => {
    const world = await running()
    const old = world.store.backUp()
    world.pass(slot)
    await world.authorities.refresh()
    const { sequence } = world.authorities.current()
    world.store.restore(old)
    const next = createTestAuthorities({ store: world.store, now: world.now })
    next.pass(5)
    await next.authorities.refresh()
    expect(next.authorities.current().sequence).toBeGreaterThan(sequence)
  })
})

describe('what an operator does', () => {
  test('prepare: a fresh successor, which is answered, takes the place of the one that stood ready', async () => {
    const world = await running()
    const former = world.one('prepared')
    world.pass(60)
    const prepared = await world.authorities.change({ action: 'prepare', ring: 'x509' })
    expect(prepared.id).not.toBe(former.id)
    expect(prepared).toEqual(world.one('prepared'))
    expect(prepared).toMatchObject({ createdAt: world.now, state: 'prepared' })
    expect(world.stored().authorities.some(({ id }) => id === former.id)).toBe(false)
  })

  test('activate: refused before verifiers can have seen the successor, with when they will have', async () => {
    const world = await running()
    world.pass(899)
    const early = world.authorities.change({ action: 'activate', ring: 'x509', force: false })
    await expect(early).rejects.toThrow(
      expect.objectContaining({
        code: 'conflict',
        detail: 'the successor was published 899 s ago and verifiers need 900 s to see it',
      }),
    )
    expect(world.store.written('authorities')).toHaveLength(1)
  })

  test.each([
    ['in time', 900, false],
    ['by force', 1, true],
  ])('activate: %s the successor signs, another is prepared, and the former key is gone', async (_, seconds, force) => {
    const world = await running()
    const [former, successor] = [world.one('active'), world.one('prepared')]
    world.pass(seconds)
    const activated = await world.authorities.change({ action: 'activate', ring: 'x509', force })
    expect(activated).toEqual(world.one('active'))
    expect(activated.id).toBe(successor.id)
    expect(world.one('retiring')).toMatchObject({ id: former.id, activeUntil: world.now })
    expect(world.one('retiring')).not.toHaveProperty('sealedKey')
    expect(world.one('prepared').createdAt).toEqual(world.now)
    expect(world.authorities.current().x509().id).toBe(successor.id)
  })

  test('taint of the active: its successor signs at once, and nothing of it is a proof', async () => {
    const world = await running()
    const { id } = await world.authorities.change({ action: 'taint', id: world.one('active').id })
    const { x509Issuers, x509, documents } = world.authorities.current()
    expect(world.one('retiring')).toMatchObject({ id, taintedAt: world.now })
    expect(x509().id).not.toBe(id)
    expect(x509Issuers.map(({ subjectKeyId }) => subjectKeyId?.toString('hex'))).not.toContain(id)
    // Others go on trusting it until it is revoked.
    expect(Buffer.from(documents.bundle.body).toString()).toContain(world.one('retiring').certificate)
  })

  test('taint of a JWT authority: its key vouches for nothing of ours', async () => {
    const world = await running()
    const { id } = world.one('active', 'jwt/ES256')
    expect(world.authorities.current().jwtKeys.map(({ kid }) => kid)).toContain(id)
    await world.authorities.change({ action: 'taint', id })
    expect(world.authorities.current().jwtKeys.map(({ kid }) => kid)).not.toContain(id)
    expect(Buffer.from(world.authorities.current().documents.keys.body).toString()).toContain(id)
  })

  test('taint of one that retires: it stays where it is, tainted', async () => {
    const world = await running()
    world.pass(slot)
    await world.authorities.refresh()
    const { id } = world.one('retiring')
    expect(await world.authorities.change({ action: 'taint', id })).toMatchObject({ id, taintedAt: world.now })
    const tainted = world.now
    world.pass(10)
    expect(await world.authorities.change({ action: 'taint', id })).toMatchObject({ taintedAt: tainted })
  })

  test('revoke: out of the bundle and the key set, and the successor signs at once', async () => {
    for (const ring of ['x509', 'jwt/ES256'] as const) {
      const world = await running()
      const [active, successor] = [world.one('active', ring), world.one('prepared', ring)]
      await world.authorities.change({ action: 'revoke', id: active.id })
      expect(world.stored().authorities.some(({ id }) => id === active.id)).toBe(false)
      expect(world.one('active', ring).id).toBe(successor.id)
      expect(world.one('prepared', ring).createdAt).toEqual(world.now)
      const { bundle, keys } = world.authorities.current().documents
      const published = [bundle, keys].map(({ body }) => Buffer.from(body).toString()).join()
      expect(published).not.toContain(active.certificate ?? active.id)
    }
  })

  test('revoke of the successor: another one stands ready', async () => {
    const world = await running()
    const { id } = world.one('prepared')
    await world.authorities.change({ action: 'revoke', id })
    expect(world.one('prepared').id).not.toBe(id)
  })

  test.each([
    ['taint of an unknown id', { action: 'taint', id: 'feed' }],
    ['revoke of an unknown id', { action: 'revoke', id: '' }],
    ['prepare in a ring that there is not', { action: 'prepare', ring: 'jwt/RS256' }],
    ['activate in a ring that there is not', { action: 'activate', ring: 'jwt/ES384', force: true }],
  ] as const)('%s is not found', async (_, change) => {
    const world = await running()
    await expect(world.authorities.change(change)).rejects.toThrow(refusal('not_found'))
    expect(world.store.written('authorities')).toHaveLength(1)
  })
})

test('another issuer by reload makes another discovery document of the same authorities', async () => {
  const world = await running()
  const { documents } = world.authorities.current()
  world.issuer = 'https://new.example.org'
  await world.authorities.refresh()
  const changed = world.authorities.current()
  expect(changed.issuer).toBe('https://new.example.org')
  expect(Buffer.from(changed.documents.discovery.body).toString()).toContain('https://new.example.org/keys')
  expect(changed.documents.keys).toEqual(documents.keys)
  expect(world.store.written('authorities')).toHaveLength(1)
})

describe('an algorithm that is not there yet', () => {
  test('of ECDSA is stood in for by what signs, RS256 is not', async () => {
    const { authorities } = await running()
    expect(authorities.current().jwt('ES384').algorithm).toBe('ES256')
    expect(() => authorities.current().jwt('RS256')).toThrow(refusal('no_authority', /RS256/))
  })
})

describe('when the authority above can not be used', () => {
  const broken = () => Promise.reject(new Refusal('no_authority', 'the upstream authority can not be used'))

  test('a new store stays empty', async () => {
    const world = createTestAuthorities({ upstream: broken })
    await expect(world.authorities.refresh()).rejects.toThrow(refusal('no_authority', /upstream/))
    expect(world.store.written('authorities')).toEqual([])
  })

  test('what there is goes on signing, the other kinds rotate, and it is reported once', async () => {
    const world = await running()
    const { id } = world.one('active')
    const jwt = world.one('active', 'jwt/ES256').id
    await world.authorities.change({ action: 'revoke', id: world.one('prepared').id })
    world.upstream = broken
    await world.authorities.change({ action: 'revoke', id: world.one('prepared').id })
    for (const seconds of [slot, 5, 5]) {
      world.pass(seconds)
      await world.authorities.refresh()
    }
    expect(world.authorities.current().x509().id).toBe(id)
    expect(world.one('retiring', 'jwt/ES256').id).toBe(jwt)
    expect(world.logged).toEqual([
      'a signing authority can not be made: this is tried again: the upstream authority can not be used',
    ])
    const writes = world.store.written('authorities').length
    world.pass(5)
    await world.authorities.refresh()
    expect(world.store.written('authorities')).toHaveLength(writes)

    world.upstream = undefined
    await world.authorities.refresh()
    expect(world.one('prepared').createdAt).toEqual(world.now)
  })

  test('a successor that is asked for is refused, and the one that stands ready stays', async () => {
    const world = await running()
    const { id } = world.one('prepared')
    world.upstream = broken
    await expect(world.authorities.change({ action: 'prepare', ring: 'x509' })).rejects.toThrow(
      refusal('no_authority', /upstream/),
    )
    expect(world.one('prepared').id).toBe(id)
  })

  test('with none left that signs it is an error, and JWT-SVIDs are signed all the same', async () => {
    const world = await running()
    world.upstream = broken
    world.pass(5 * slot)
    await expect(world.authorities.refresh()).rejects.toThrow(refusal('no_authority', /upstream/))
    expect(() => world.authorities.current().x509()).toThrow(refusal('no_authority'))
    expect(world.authorities.current().jwt('ES256').expiresAt.getTime()).toBeGreaterThan(world.now.getTime())
  })
})
