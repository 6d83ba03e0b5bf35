import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { CloudCredential } from '../../src/core/cloud.ts'
import type { DestinationType } from '../../src/core/config-destinations.ts'
import { destinationRules } from '../../src/core/destination-rules.ts'
import { formatStamp, stampTags } from '../../src/core/owner-stamp.ts'
import {
  holdsSame,
  type SecretDestination,
  type SecretPush,
  type SecretValue,
} from '../../src/core/secret-destination.ts'
import type { LoggedRequest } from '../support/clouds/cloud-server.ts'
import { failureOf, listAll, owner, pushOf, turnOf } from '../support/destination-world.ts'
import { type Members, type Scripted, startScriptedCloud } from '../support/exchanger.ts'
import type { Step, StoreUnderTest } from '../support/store-under-test.ts'

export interface DestinationUnderTest {
  readonly type: DestinationType
  readonly start: () => Promise<StoreUnderTest>
  /** A listing shows that somebody else gave a secret another value; otherwise `find` does. */
  readonly listsEdits: boolean
  /** Whether of two that create at the same time one is told; else the other's value becomes an earlier version. */
  readonly createsAlone: boolean
  /** Whether what is deleted can be had back. */
  readonly recovers: boolean
  /** Secrets of one page. */
  readonly pageSize: number
  /** Members of the document that give every secret the tag `team`. */
  readonly tagged: Members
  readonly badNames: readonly string[]
  /** Whether throttled requests are told how long to wait. */
  readonly tellsPause: boolean
  /** How the cloud says no, in these words. */
  readonly refuse: (text: string) => Scripted
}

const other = 'two/there/deployment-a'
const restored = 'one/there/deployment-b'

/** What every adapter of the port `SecretDestination` does. */
export function destinationContract(under: DestinationUnderTest): void {
  describe(`the contract of a destination: ${under.type}`, () => {
    const rules = destinationRules[under.type]
    let there: StoreUnderTest
    let destination: SecretDestination

    beforeAll(async () => {
      there = await under.start()
    })
    beforeEach(() => {
      there.reset()
      destination = there.open()
    })
    afterEach(() => vi.unstubAllEnvs())
    afterAll(() => there.close())

    const write = (push: SecretPush, at = destination) => at.write(push, turnOf())
    const writes = () => there.store.requests.filter(there.isWrite)
    const find = (name: string) => destination.find(name, turnOf())

    async function listed(name: string) {
      return (await listAll(destination)).find((secret) => secret.name === name)
    }

    /** An answer of each request that writes is lost in turn, or never comes to it. */
    function spoil(kind: 'lost' | 'reset', nth: number): void {
      let seen = 0
      there.store.inject({ kind }, 1, (request) => there.isWrite(request) && seen++ === nth)
      // A kept connection that dies is taken for an old one, and what may be repeated is.
      there.store.inject({ kind: 'unavailable' }, 1, (request) => there.isWrite(request) && seen > nth)
    }

    describe('writing', () => {
      test('a secret that is not there is created, and is ours', async () => {
        const push = pushOf('db-password', 's3cret')
        const pushed = await write(push)
        expect(pushed).toMatchObject({ outcome: 'created', id: expect.stringContaining('db-password') })
        expect(there.read('db-password')).toBe('s3cret')
        expect(await find('db-password')).toMatchObject({ name: 'db-password', state: 'whole' })
        const held = await listed('db-password')
        expect(held).toMatchObject({ state: 'whole', stamp: push.stamp })
        expect(held && holdsSame(held, push)).toBe(true)
      })

      test('the same again writes nothing', async () => {
        await write(pushOf('db-password', 's3cret'))
        const before = writes().length
        expect(await write(pushOf('db-password', 's3cret'))).toMatchObject({ outcome: 'unchanged' })
        expect(writes().length).toBe(before)
        expect(there.versions('db-password')).toBe(1)
      })

      test('another value is another version', async () => {
        await write(pushOf('db-password', 'one'))
        const push = pushOf('db-password', 'two', { stamp: { revision: '2' } })
        expect(await write(push)).toMatchObject({ outcome: 'updated' })
        expect(there.read('db-password')).toBe('two')
        expect(there.versions('db-password')).toBe(2)
        expect(await listed('db-password')).toMatchObject({ state: 'whole', stamp: push.stamp })
        expect(await find('db-password')).toMatchObject({ state: 'whole' })
      })

      test('a value that comes back is written again', async () => {
        for (const value of ['one', 'two', 'one', 'two', 'two', 'one']) {
          await write(pushOf('db-password', value))
          expect(there.read('db-password')).toBe(value)
        }
        expect(there.versions('db-password')).toBe(5)
      })

      test('another stamp over the same value makes no version', async () => {
        await write(pushOf('db-password', 's3cret'))
        const push = pushOf('db-password', 's3cret', { stamp: { basis: 'basis-2', revision: '7' } })
        expect(await write(push)).toMatchObject({ outcome: 'marked' })
        expect(there.versions('db-password')).toBe(1)
        expect(await listed('db-password')).toMatchObject({ state: 'whole', stamp: push.stamp })
      })

      test.each<[string, SecretValue]>([
        ['of the greatest size', 'x'.repeat(rules.maxValueBytes)],
        ['of several lines', 'a: "1"\nb: \\\n\ttwo\u0000'],
        ['beyond ASCII', 'grüße, 秘密 🗝'],
        ['that looks like JSON', '{"a":{"b":[1,2,"é"]}}'],
      ])('text %s arrives as it is', async (_, value) => {
        await write(pushOf('value', value))
        expect(there.read('value')).toBe(value)
      })

      test('bytes arrive as they are, or are refused before anything is sent', async () => {
        const value = Buffer.from([0, 255, 10, 128])
        if (rules.takesBytes) {
          await write(pushOf('value', value))
          expect(Buffer.from(there.read('value') ?? '')).toEqual(value)
          return
        }
        expect((await failureOf(write(pushOf('value', value)))).kind).toBe('bad_value')
        expect(there.store.requests).toEqual([])
      })

      test.each(under.badNames)('the name %j is refused before anything is sent', async (name) => {
        const failure = await failureOf(write(pushOf(name, 's3cret')))
        expect([failure.kind, failure.message]).toEqual(['bad_name', expect.stringContaining(rules.name.expected)])
        expect(there.store.requests).toEqual([])
      })

      test('a value above the limit is refused before anything is sent', async () => {
        const failure = await failureOf(write(pushOf('value', 'x'.repeat(rules.maxValueBytes + 1))))
        expect(failure.kind).toBe('too_large')
        expect(there.store.requests).toEqual([])
      })

      test('tags of destination and sync are set, and those of others stay', async () => {
        const tagged = there.open(under.tagged)
        await write(pushOf('db-password', 'one', { tags: { env: 'prod' } }), tagged)
        expect(there.tags('db-password')).toMatchObject({ team: 'payments', env: 'prod', [stampTags.owner]: owner })
        there.setTag('db-password', 'costs', '42')
        await write(pushOf('db-password', 'two', { tags: { env: 'test' } }), tagged)
        expect(there.tags('db-password')).toMatchObject({ team: 'payments', env: 'test', costs: '42' })
      })

      test('each request waits for its turn', async () => {
        const turn = turnOf()
        await destination.write(pushOf('db-password', 's3cret'), turn)
        const kinds = there.store.requests.map((request) => (there.isWrite(request) ? 'write' : 'read'))
        expect(turn.paced).toEqual(kinds)
        expect(kinds[0]).toBe('read')
      })

      test('a turn that is lost ends it, with what it says', async () => {
        const lost = new Error('another worker has the lease')
        const pace = (kind: string) => (kind === 'write' ? Promise.reject(lost) : Promise.resolve())
        await expect(destination.write(pushOf('db-password', 's3cret'), { ...turnOf(), pace })).rejects.toBe(lost)
        expect(writes()).toEqual([])
      })

      test('it ends when nobody waits any longer', async () => {
        const failure = await failureOf(destination.write(pushOf('db-password', 'x'), turnOf(AbortSignal.abort())))
        expect([failure.kind, failure.code]).toEqual(['unreachable', 'timeout'])
        expect(there.store.requests).toEqual([])
      })
    })

    describe('whose it is', () => {
      test('what is not ours is neither written nor removed', async () => {
        there.edit('by-hand', 'precious')
        const attempts = [
          () => write(pushOf('by-hand', 's3cret')),
          () => destination.remove('by-hand', owner, turnOf()),
        ]
        for (const attempt of attempts) {
          expect(await failureOf(attempt())).toMatchObject({ kind: 'conflict', code: 'not_owned' })
        }
        expect(writes()).toEqual([])
        expect(there.read('by-hand')).toBe('precious')
        expect(await listed('by-hand')).toEqual({ name: 'by-hand', state: 'whole' })
      })

      test('what is nobody’s is adopted when that is asked for', async () => {
        there.edit('by-hand', 'precious')
        const push = pushOf('by-hand', 's3cret', { adopts: true })
        expect(await write(push)).toMatchObject({ outcome: 'adopted' })
        expect(there.read('by-hand')).toBe('s3cret')
        expect(await listed('by-hand')).toMatchObject({ state: 'whole', stamp: push.stamp })
        expect(await write(push)).toMatchObject({ outcome: 'unchanged' })
      })

      test('two syncs are safe from each other, adoption or not', async () => {
        await write(pushOf('shared', 'of the other', { stamp: { owner: other } }))
        const before = writes().length
        for (const adopts of [false, true]) {
          const failure = await failureOf(write(pushOf('shared', 'ours', { adopts })))
          expect(failure).toMatchObject({ kind: 'conflict', code: 'owned_by_other' })
          expect(failure.message).toContain(other)
        }
        expect(await failureOf(destination.remove('shared', owner, turnOf()))).toMatchObject({ kind: 'conflict' })
        expect(writes().length).toBe(before)
        expect(there.read('shared')).toBe('of the other')
      })

      test('what a deployment of the same names left is nobody’s', async () => {
        await write(pushOf('left', 'old', { stamp: { owner: restored } }))
        expect(await failureOf(write(pushOf('left', 'new')))).toMatchObject({ kind: 'conflict' })
        expect(await write(pushOf('left', 'new', { adopts: true }))).toMatchObject({ outcome: 'adopted' })
        expect(there.read('left')).toBe('new')
        expect(await listed('left')).toMatchObject({ state: 'whole', stamp: { owner } })
      })

      test('somebody who creates it in the last moment keeps it, as far as the cloud can tell', async () => {
        const act = () => there.edit('racing', 'precious')
        there.store.inject({ kind: 'overtaken', act }, 1, there.isWrite)
        const outcome = write(pushOf('racing', 's3cret'))
        if (under.createsAlone) {
          expect(await failureOf(outcome)).toMatchObject({ kind: 'conflict' })
          expect(there.read('racing')).toBe('precious')
        } else {
          await outcome
          expect(there.versions('racing')).toBe(2)
        }
      })

      test('of two that adopt at the same time one gives way', async () => {
        there.edit('by-hand', 'precious')
        const stamped = formatStamp({ ...pushOf('by-hand', '').stamp, owner: other })
        const act = () => {
          for (const [tag, value] of Object.entries(stamped)) there.setTag('by-hand', tag, value)
        }
        there.store.inject({ kind: 'overtaken', act }, 1, there.isWrite)
        const outcome = await write(pushOf('by-hand', 's3cret', { adopts: true })).catch((error: unknown) => error)
        if (!under.createsAlone) return
        // Whoever is last has it; nobody writes what is another's.
        const [winner] = [there.tags('by-hand')[stampTags.owner]]
        expect(winner === owner ? outcome : there.read('by-hand')).toEqual(
          winner === owner ? expect.objectContaining({ outcome: 'adopted' }) : 'precious',
        )
      })
    })

    describe('what others do there', () => {
      test('another value is seen, and written over', async () => {
        const push = pushOf('db-password', 's3cret')
        await write(push)
        there.edit('db-password', 'by hand')
        expect(await find('db-password')).toMatchObject({ state: 'edited', stamp: { owner } })
        const held = await listed('db-password')
        if (under.listsEdits) expect(held && holdsSame(held, push)).toBe(false)
        expect(await write(push)).toMatchObject({ outcome: 'updated' })
        expect(there.read('db-password')).toBe('s3cret')
        expect(await listed('db-password')).toMatchObject({ state: 'whole', stamp: push.stamp })
        expect(await find('db-password')).toMatchObject({ state: 'whole' })
      })

      test('many edits by hand do not make it theirs', async () => {
        await write(pushOf('db-password', 's3cret'))
        for (const value of ['one', 'two', 'three']) there.edit('db-password', value)
        expect(await find('db-password')).toMatchObject({ state: 'edited', stamp: { owner } })
        expect(await write(pushOf('db-password', 's3cret'))).toMatchObject({ outcome: 'updated' })
      })

      test('a tag that is changed by hand is set again without a version', async () => {
        await write(pushOf('db-password', 's3cret', { tags: { env: 'prod' } }))
        there.setTag('db-password', 'env', 'test')
        const push = pushOf('db-password', 's3cret', { tags: { env: 'prod' } })
        expect(await write(push)).toMatchObject({ outcome: 'marked' })
        expect(there.tags('db-password')).toMatchObject({ env: 'prod' })
        expect(there.versions('db-password')).toBe(1)
      })
    })

    describe('removing', () => {
      test('what is ours is removed, and what is not there is absent', async () => {
        await write(pushOf('db-password', 's3cret'))
        const removed = await destination.remove('db-password', owner, turnOf())
        expect(removed).toMatchObject({ outcome: 'removed', id: expect.stringContaining('db-password') })
        if (under.recovers) expect(Number(removed.recoverableUntil)).toBeGreaterThan(Number(there.identity.now))
        expect(there.read('db-password')).toBeUndefined()
        expect(await listed('db-password')).toBeUndefined()
        expect(await find('db-password')).toBeUndefined()
        expect(await destination.remove('db-password', owner, turnOf())).toMatchObject({ outcome: 'absent' })
        expect(await destination.remove('never', owner, turnOf())).toMatchObject({ outcome: 'absent' })
      })

      test('an answer that is lost is found out the next time', async () => {
        await write(pushOf('db-password', 's3cret'))
        spoil('lost', 0)
        await destination.remove('db-password', owner, turnOf()).catch(() => undefined)
        expect(await destination.remove('db-password', owner, turnOf())).toMatchObject({ outcome: 'absent' })
        expect(there.read('db-password')).toBeUndefined()
      })

      test('what was edited by hand is ours still', async () => {
        await write(pushOf('db-password', 's3cret'))
        there.edit('db-password', 'by hand')
        expect(await destination.remove('db-password', owner, turnOf())).toMatchObject({ outcome: 'removed' })
      })
    })

    if (under.recovers) describe('a deleted secret that has the name', recoveries)

    function recoveries(): void {
      test('is had back where it is ours', async () => {
        const push = pushOf('db-password', 's3cret')
        await write(push)
        await destination.remove('db-password', owner, turnOf())
        expect(await write(push)).toMatchObject({ outcome: 'recovered' })
        expect(there.read('db-password')).toBe('s3cret')
        expect(there.versions('db-password')).toBe(1)
        expect(await listed('db-password')).toMatchObject({ state: 'whole', stamp: push.stamp })
      })

      test('gets another value once it is back', async () => {
        await write(pushOf('db-password', 'one'))
        there.discard('db-password')
        expect(await write(pushOf('db-password', 'two'))).toMatchObject({ outcome: 'recovered' })
        expect(there.read('db-password')).toBe('two')
      })

      test('blocks it where it is not ours', async () => {
        there.edit('by-hand', 'precious')
        there.discard('by-hand')
        expect(await failureOf(write(pushOf('by-hand', 's3cret')))).toMatchObject({ kind: 'blocked_deleted' })
        await write(pushOf('theirs', 'x', { stamp: { owner: other } }))
        there.discard('theirs')
        const failure = await failureOf(write(pushOf('theirs', 's3cret', { adopts: true })))
        expect(failure).toMatchObject({ kind: 'blocked_deleted' })
      })

      test('is adopted when that is asked for', async () => {
        there.edit('by-hand', 'precious')
        there.discard('by-hand')
        expect(await write(pushOf('by-hand', 's3cret', { adopts: true }))).toMatchObject({ outcome: 'recovered' })
        expect(there.read('by-hand')).toBe('s3cret')
        expect(await listed('by-hand')).toMatchObject({ state: 'whole', stamp: { owner } })
      })
    }

    describe('faults', () => {
      const cases = ['lost', 'reset'].flatMap((kind) =>
        ['a new secret', 'another value', 'an adopted secret', 'a deleted secret'].flatMap((what) =>
          [0, 1, 2, 3].map((nth) => [kind as 'lost' | 'reset', what, nth] as const),
        ),
      )

      async function prepare(what: string): Promise<void> {
        if (what === 'an adopted secret') there.edit('db-password', 'precious')
        if (what === 'another value' || what === 'a deleted secret') await write(pushOf('db-password', 'one'))
        if (what === 'a deleted secret') await destination.remove('db-password', owner, turnOf())
      }

      test.each(cases)(
        '%s for %s at its write %i: the next attempt ends it, with one version',
        async (kind, what, nth) => {
          await prepare(what)
          const before = there.versions('db-password')
          const push = pushOf('db-password', 'two', { adopts: true })
          spoil(kind, nth)
          const first = await write(push).catch((error: unknown) => error)
          if (first instanceof Error) expect(first).toMatchObject({ kind: 'unreachable' })
          // Whatever came of it, what is shown as whole is what is there.
          const held = await listed('db-password')
          if (held && holdsSame(held, push)) expect(there.read('db-password')).toBe('two')

          for (let attempt = 0; attempt < 3; attempt++) await write(push).catch(() => undefined)
          expect(await write(push)).toMatchObject({ outcome: 'unchanged' })
          expect(there.read('db-password')).toBe('two')
          expect(there.versions('db-password')).toBe(before + 1)
          expect(await listed('db-password')).toMatchObject({ state: 'whole', stamp: push.stamp })
        },
      )

      test('throttling is told, with the time to wait', async () => {
        for (const attempt of [() => write(pushOf('a', 'x')), () => listAll(destination), () => find('a')]) {
          there.store.inject({ kind: 'throttle', retryAfterSeconds: 7 })
          const failure = await failureOf(attempt())
          expect(failure.kind).toBe('throttled')
          expect(failure.retryAfterSeconds).toBe(under.tellsPause ? 7 : undefined)
        }
      })

      test.each([
        ['a failure of the cloud', { kind: 'unavailable', status: 500 }],
        ['an overloaded cloud', { kind: 'unavailable' }],
        ['a page', { kind: 'garbage' }],
        ['no JSON at all', { kind: 'garbage', body: '' }],
      ] as const)('%s is to be tried again', async (_, fault) => {
        for (const attempt of [() => write(pushOf('a', 'x')), () => listAll(destination), () => find('a')]) {
          there.store.inject(fault)
          expect((await failureOf(attempt())).kind).toBe('unreachable')
        }
      })

      const steps: readonly (readonly [Step, () => Promise<unknown>])[] = [
        ['list', () => listAll(destination)],
        ['look', () => find('db-password')],
        ['create', () => write(pushOf('new', 'x'))],
        ['write', () => write(pushOf('db-password', 'two'))],
        ['mark', () => write(pushOf('db-password', 'one', { stamp: { basis: 'basis-2' } }))],
        ['remove', () => destination.remove('db-password', owner, turnOf())],
        ['recover', () => write(pushOf('deleted', 'one'))],
      ]

      test.each(steps)('without the permission to %s it is named, with what to do', async (step, attempt) => {
        const permission = there.permissions[step]
        if (permission === undefined) return
        await write(pushOf('db-password', 'one'))
        await write(pushOf('deleted', 'one'))
        await destination.remove('deleted', owner, turnOf())
        there.deny(permission)
        const failure = await failureOf(attempt())
        expect(failure.kind).toBe('forbidden')
        expect(failure.fix).toContain(permission)
        expect(failure.message).toContain(failure.fix)
      })

      test('a credential that no exchange gave is not taken', async () => {
        const forged = Object.fromEntries(
          Object.entries(there.valid).map(([name, value]) =>
            /token|secret/i.test(name) ? [name, `${String(value).slice(0, -4)}AAAA`] : [name, value],
          ),
        ) as unknown as CloudCredential
        const failure = await failureOf(
          write(
            pushOf('a', 'x'),
            there.open({}, async () => forged),
          ),
        )
        expect(failure.kind).toBe('forbidden')
        expect(JSON.stringify(failure) + failure.message).not.toMatch(/AAAA/)
        expect(there.read('a')).toBeUndefined()
      })

      test('a no that repeats the credential is told without it', async () => {
        await using scripted = await startScriptedCloud()
        const planted = Object.fromEntries(
          Object.entries(there.valid).map(([name, value]) => [
            name,
            /token|secret/i.test(name) ? secretOf(name) : value,
          ]),
        ) as unknown as CloudCredential
        const at = there.open({ endpoint: scripted.url, ca_file: scripted.caFile }, async () => planted)
        for (const secret of Object.values(planted).filter((value) => String(value).startsWith('planted'))) {
          scripted.script(under.refuse(`something is wrong with '${secret}' there`))
          const { kind, message, ...more } = await failureOf(write(pushOf('a', 'x'), at))
          expect(kind).toBe('refused')
          expect(message + JSON.stringify(more)).not.toContain('planted')
        }
        expect(scripted.requests.length).toBeGreaterThan(0)
      })

      test('nor is one that is over', async () => {
        there.identity.now = new Date(there.identity.now.getTime() + 13 * 3_600_000)
        expect((await failureOf(write(pushOf('a', 'x')))).kind).toBe('forbidden')
      })

      test('what the credential comes to is passed on', async () => {
        const failure = new Error('no exchange')
        await expect(
          write(
            pushOf('a', 'x'),
            there.open({}, () => Promise.reject(failure)),
          ),
        ).rejects.toBe(failure)
        expect(there.store.requests).toEqual([])
      })
    })

    describe('listing', () => {
      test('pages of all that there is, and nothing else is asked for', async () => {
        const count = 2 * under.pageSize + 3
        for (let n = 0; n < count; n++) there.edit(`by-hand-${String(n).padStart(4, '0')}`, 'x')
        await write(pushOf('ours', 's3cret'))
        there.store.requests.length = 0
        const turn = turnOf()
        const all = await listAll(destination, turn)
        expect(new Set(all.map(({ name }) => name)).size).toBe(count + 1)
        expect(all.filter(({ stamp }) => stamp !== undefined)).toMatchObject([{ name: 'ours' }])
        expect(there.store.requests).toHaveLength(3)
        expect(turn.paced).toEqual(['read', 'read', 'read'])
      })

      test('nothing is none, and a caller that stops asks for no more', async () => {
        expect(await listAll(destination)).toEqual([])
        for (let n = 0; n < under.pageSize + 1; n++) there.edit(`by-hand-${n}`, 'x')
        there.store.requests.length = 0
        for await (const page of destination.list(turnOf())) {
          expect(page).toHaveLength(under.pageSize)
          break
        }
        expect(there.store.requests).toHaveLength(1)
      })
    })

    test('no request tells of this machine, and the environment has no say', async () => {
      for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
      await write(pushOf('db-password', 's3cret'), there.open())
      for (const request of there.store.requests) {
        expect(request.headers['user-agent']).toBe('apostille')
        expect(JSON.stringify(sent(request))).not.toMatch(/linux|x64|arm64|nodejs|azsdk|aws-sdk-js/i)
      }
    })

    test('connections end when it is closed', async () => {
      const own = there.open()
      await own.close?.()
      await write(pushOf('a', 'x'), own)
      await own.close?.()
    })
  })
}

const secretOf = (name: string) => `planted-${name}/+1234`

function sent({ headers, path, search }: LoggedRequest) {
  return { headers, path, search }
}

/** Each of them changes what some library does when it is asked. */
const environment: Readonly<Record<string, string>> = {
  AWS_REGION: 'us-east-1',
  AWS_PROFILE: 'nobody',
  AWS_ENDPOINT_URL: 'https://localhost:1',
  AWS_ENDPOINT_URL_SECRETS_MANAGER: 'https://localhost:1',
  AWS_USE_FIPS_ENDPOINT: 'true',
  AWS_CONFIG_FILE: '/nowhere',
  AWS_ACCESS_KEY_ID: 'AKIAAAAAAAAAAAAAAAAA',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_SESSION_TOKEN: 'session',
  AWS_MAX_ATTEMPTS: '9',
  AWS_EXECUTION_ENV: 'linux',
  HTTPS_PROXY: 'http://localhost:1',
  https_proxy: 'http://localhost:1',
}
