import { describe, expect, test } from 'vitest'
import type { Peer } from '../../src/core/federation.ts'
import { fileDigest, readPeerState } from '../../src/core/federation-state.ts'
import {
  a,
  authorityOf,
  b,
  bundleText,
  createWorld,
  domain,
  filePeer,
  ours,
  type Replica,
  spiffePeer,
  type World,
  webPeer,
} from '../support/federation-world.ts'

const refusal = (code: string) => expect.objectContaining({ code })
const stateOf = (world: World, name = a) => readPeerState(world.store.documents.get(`federation/${name}`)?.body ?? '')
const changesOf = ({ records }: Replica) =>
  records.map(({ operation, details }) => [
    operation,
    details?.['source'],
    details?.['from_sequence'],
    details?.['to_sequence'],
  ])
const settle = () => new Promise((resolve) => setImmediate(resolve))
const warningsOf = ({ telemetry }: Replica) => telemetry.lines.filter(({ name }) => name === 'warning')

function answer(world: World, document: string, name: string = a): void {
  world.endpoints.set(name, async () => document)
}

/** A gateway that holds bundle `sequence` of `a`, asked at its endpoint. */
async function startHolding(sequence: number, peer: Peer = webPeer(a)) {
  const world = createWorld()
  answer(world, bundleText(a, { sequence, hint: 300 }))
  const replica = world.start([peer])
  await replica.turn()
  world.advance(300)
  return { world, replica }
}

describe('the first bundle', () => {
  test('is trusted after the first refresh, and kept by the first turn', async () => {
    const world = createWorld()
    const replica = world.start([filePeer(a, bundleText(a, { sequence: 5 }))])
    expect(replica.bundleOf(a)).toBeUndefined()
    await replica.refresh()
    expect(replica.bundleOf(a)?.x509Authorities).toHaveLength(1)
    const { version } = replica.bundleOf(a) ?? {}
    expect(world.store.documents.size).toBe(0)
    await replica.poll()
    expect(stateOf(world)).toMatchObject({
      source: 'file',
      sequence: '5',
      keys: { x509: 1, jwt: 0 },
      confirmedAt: world.now(),
    })
    expect(replica.bundleOf(a)?.version).toBe(version)
    expect(changesOf(replica)).toEqual([['federation.bundle', 'file', undefined, '5']])
  })

  test('gives way to the newest of the endpoint, and stays behind it after a restart', async () => {
    const peer = webPeer(a, bundleText(a, { sequence: 5 }))
    const { world, replica } = await startHolding(7, peer)
    expect(replica.sequences()).toEqual({ [a]: 7 })
    const restarted = world.start([peer])
    await restarted.turn()
    expect(restarted.sequences()).toEqual({ [a]: 7 })
    expect(warningsOf(restarted)).toEqual([])
    expect(restarted.records).toEqual([])
  })

  test.each([
    ['a newer one is taken', { sequence: 9 }, 9, 0],
    ['an older one is warned of', { sequence: 4 }, 7, 1],
    ['another one of the same number is warned of', { sequence: 7, keys: [2] }, 7, 1],
    ['one that can not be compared is warned of', { keys: [2] }, 7, 1],
  ])('is replaced in its file: %s', async (_, file, sequence, warnings) => {
    const { world, replica } = await startHolding(7, webPeer(a, bundleText(a, { sequence: 5 })))
    world.endpoints.clear()
    replica.configure([webPeer(a, bundleText(a, file))])
    await replica.turn()
    await replica.turn()
    expect(replica.sequences()).toEqual({ [a]: sequence })
    const ofFile = warningsOf(replica).filter(({ text }) => text?.includes('file'))
    expect(ofFile).toHaveLength(warnings)
    expect(JSON.stringify(ofFile)).toContain(warnings > 0 ? 'federation import' : '[]')
  })

  test('is replaced by what is held already: nothing changes', async () => {
    const { world, replica } = await startHolding(7)
    const before = stateOf(world)
    const held = bundleText(a, { sequence: 7, hint: 300 })
    world.endpoints.clear()
    world.advance(-1)
    replica.configure([webPeer(a, held)])
    await replica.turn()
    expect(stateOf(world)).toEqual({ ...before, file: fileDigest(held) })
    expect(replica.records).toHaveLength(1)
  })

  test('is warned of once by all replicas and restarts', async () => {
    const { world } = await startHolding(7, webPeer(a, bundleText(a, { sequence: 5 })))
    const older = [webPeer(a, bundleText(a, { sequence: 4 }))]
    const replicas = [world.start(older), world.start(older)]
    for (const replica of replicas) await replica.turn()
    expect(replicas.flatMap(warningsOf)).toHaveLength(1)
  })

  test('of a trust domain without an endpoint is that of its file, unless that is older', async () => {
    const world = createWorld()
    const replica = world.start([filePeer(a, bundleText(a, { keys: [1] }))])
    await replica.turn()
    replica.configure([filePeer(a, bundleText(a, { keys: [2] }))])
    await replica.turn()
    expect(stateOf(world)?.bundle).toBe(bundleText(a, { keys: [2] }))
    expect(world.asked).toEqual([])
  })

  test('that is malformed is warned of, and nothing is trusted until the endpoint gives a good one', async () => {
    const world = createWorld()
    const peer = webPeer(a, '<html>')
    const replica = world.start([peer])
    await replica.turn()
    expect(replica.bundleOf(a)).toBeUndefined()
    expect(stateOf(world)).toMatchObject({ file: fileDigest('<html>'), failures: 1 })
    answer(world, bundleText(a, { sequence: 5 }))
    world.advance(120)
    await replica.turn()
    expect(replica.sequences()).toEqual({ [a]: 5 })
  })
})

describe('a poll', () => {
  test('takes a newer bundle, and records which keys came and went', async () => {
    const { world, replica } = await startHolding(5)
    answer(world, bundleText(a, { sequence: 6, keys: [2, 3] }))
    await replica.turn()
    expect(replica.sequences()).toEqual({ [a]: 6 })
    expect(replica.records.at(-1)).toMatchObject({
      operation: 'federation.bundle',
      decision: 'granted',
      time: world.now(),
      details: {
        trust_domain: a,
        source: 'endpoint',
        from_sequence: '5',
        to_sequence: '6',
        keys_added: [expect.stringMatching(/^x509 /), expect.stringMatching(/^x509 /)],
        keys_removed: [expect.stringMatching(/^x509 /)],
      },
    })
  })

  test('that finds the same bundle confirms it, and records nothing', async () => {
    const { world, replica } = await startHolding(5)
    const { version } = replica.bundleOf(a) ?? {}
    await replica.turn()
    expect(stateOf(world)).toMatchObject({ confirmedAt: world.now(), failures: 0 })
    expect(replica.records).toHaveLength(1)
    expect(replica.bundleOf(a)?.version).toBe(version)
  })

  test('that finds the same keys in other words records nothing', async () => {
    const { world, replica } = await startHolding(5)
    answer(world, bundleText(a, { sequence: 5, hint: 60 }))
    await replica.turn()
    expect(stateOf(world)?.refreshHintSeconds).toBe(60)
    expect(replica.records).toHaveLength(1)
  })

  test.each<[string, () => Promise<string>]>([
    ['nobody is there', () => Promise.reject(new Error('nobody is there'))],
    ['the sequence number was reset', async () => bundleText(a, { sequence: 4 })],
    ['it is HTML', async () => '<html>'],
    ['it is cut', async () => bundleText(a, { sequence: 9 }).slice(0, 200)],
    ['it has 10,000 keys', async () => `{"keys":[${Array(10_000).fill('{}').join()}]}`],
    ['it is no key set', async () => '{"keys":{}}'],
  ])('loses nothing good: %s', async (_, endpoint) => {
    const { world, replica } = await startHolding(5)
    world.endpoints.set(a, endpoint)
    await replica.turn()
    expect(replica.sequences()).toEqual({ [a]: 5 })
    expect(replica.bundleOf(a)?.x509Authorities).toHaveLength(1)
    expect(stateOf(world)).toMatchObject({ failures: 1, sequence: '5', problem: expect.any(String) })
    expect(warningsOf(replica)).toHaveLength(1)
    expect(replica.records).toHaveLength(1)
    const restarted = world.start([webPeer(a)])
    await restarted.turn()
    expect(restarted.sequences()).toEqual({ [a]: 5 })
  })

  test('that finds a bundle without usable keys ends the trust', async () => {
    const { world, replica } = await startHolding(5)
    answer(world, '{"spiffe_sequence":6,"keys":[{"kty":"OKP","use":"x509-svid"}]}')
    await replica.turn()
    expect(replica.bundleOf(a)).toMatchObject({ x509Authorities: [], jwtAuthorities: [] })
    expect(replica.records.at(-1)?.details).toMatchObject({ keys_removed_count: 1, keys_added_count: 0 })
  })

  test('passes over the keys that it can not use, one by one', async () => {
    const { world, replica } = await startHolding(5)
    const { keys } = JSON.parse(bundleText(a)) as { keys: object[] }
    answer(
      world,
      JSON.stringify({
        spiffe_sequence: 6,
        keys: [{ kty: 'OKP', use: 'x509-svid' }, ...keys, { kty: 'EC', use: 'sig' }],
      }),
    )
    await replica.turn()
    expect(replica.bundleOf(a)?.x509Authorities).toHaveLength(1)
    expect(stateOf(world)?.failures).toBe(0)
  })

  test('comes at the hint, later after each failure, and at the hint again', async () => {
    const { world, replica } = await startHolding(5)
    const waits: number[] = []
    const waited = () => waits.push(((stateOf(world)?.pollAt.getTime() ?? 0) - world.now().getTime()) / 1000)
    world.endpoints.clear()
    for (let failures = 1; failures <= 4; failures++) {
      await replica.turn()
      waited()
      world.advance(waits.at(-1) ?? 0)
    }
    answer(world, bundleText(a, { sequence: 6, hint: 60 }))
    await replica.turn()
    waited()
    expect(waits).toEqual([600, 1200, 1200, 1200, 60])
    expect(stateOf(world)?.problem).toBeUndefined()
  })

  test('does not come before its time', async () => {
    const { world, replica } = await startHolding(5)
    await replica.turn()
    world.advance(299)
    await replica.turn()
    expect(world.asked).toHaveLength(2)
    world.advance(1)
    await replica.turn()
    expect(world.asked).toHaveLength(3)
  })

  test.each([
    ['back', -7200],
    ['on', 86_400 * 365],
  ])('comes soon when the clock jumps %s, and not again and again', async (_, seconds) => {
    const { world, replica } = await startHolding(5)
    await replica.turn()
    world.advance(seconds)
    for (let turn = 0; turn < 3; turn++) await replica.turn()
    expect(world.asked).toHaveLength(3)
    world.advance(300)
    await replica.turn()
    expect(world.asked).toHaveLength(4)
  })

  test('is counted, and the age of what is held is measured', async () => {
    const { world, replica } = await startHolding(5)
    world.endpoints.clear()
    await replica.turn()
    const metrics = replica.telemetry.lines.flatMap(({ name, value, fields }) =>
      name.startsWith('apostille_federation_polls') ? [[fields['result'], value]] : [],
    )
    expect(metrics).toEqual([
      ['ok', 1],
      ['failed', 1],
    ])
    const gauge = replica.telemetry.lines.findLast(({ name }) => name.includes('confirmed_timestamp'))
    expect(gauge).toMatchObject({ value: world.now().getTime() / 1000 - 300, fields: { trust_domain: a } })
  })
})

describe('many peers', () => {
  const domains = Array.from({ length: 100 }, (_, n) => domain(`n${n}.example`))

  test('one that never answers holds up nobody but itself', async () => {
    const { world, replica } = await startHolding(5)
    replica.configure([webPeer(a), webPeer(b)])
    answer(world, bundleText(b, { sequence: 1 }), b)
    const stuck = Promise.withResolvers<string>()
    world.endpoints.set(a, () => stuck.promise)
    await replica.refresh()
    const first = replica.poll()
    await settle()
    expect(replica.sequences()).toEqual({ [a]: 5, [b]: 1 })
    world.advance(300)
    answer(world, bundleText(b, { sequence: 2 }), b)
    await replica.poll()
    expect(replica.sequences()).toEqual({ [a]: 5, [b]: 2 })
    expect(world.asked.filter((name) => name === a)).toHaveLength(2)
    stuck.resolve(bundleText(a, { sequence: 6 }))
    await first
  })

  test('no more than 32 are asked at once, and a slow one holds one place', async () => {
    const world = createWorld()
    const gates = domains.map(() => Promise.withResolvers<string>())
    for (const [index, name] of domains.entries()) world.endpoints.set(name, async () => gates[index]?.promise ?? '')
    const replica = world.start(domains.map((name) => webPeer(name)))
    await replica.refresh()
    const polled = replica.poll()
    await settle()
    expect(world.asked).toHaveLength(32)
    for (const gate of gates.slice(1, 32)) gate.resolve(bundleText(a))
    await settle()
    expect(world.asked).toHaveLength(63)
    for (const gate of gates) gate.resolve(bundleText(a))
    await polled
    expect(world.asked).toHaveLength(100)
  })

  test('those that answer go before those that failed', async () => {
    const world = createWorld()
    const failing = domains.slice(0, 50)
    for (const name of domains.slice(50)) answer(world, bundleText(name), name)
    const replica = world.start(domains.map((name) => webPeer(name)))
    await replica.turn()
    world.advance(7200)
    world.asked.length = 0
    await replica.turn()
    expect(new Set(world.asked.slice(50))).toEqual(new Set(failing))
  })

  test('they are asked one after the other, at first and after a restart', async () => {
    let turns = 0
    const world = createWorld(() => (turns++ % 100) / 100)
    for (const name of domains) answer(world, bundleText(name, { hint: 300 }), name)
    const peers = domains.map((name) => webPeer(name))
    const askedPerSecond = async (replica: Replica) => {
      const counts: number[] = []
      for (let second = 0; second < 10; second++) {
        const before = world.asked.length
        await replica.turn()
        counts.push(world.asked.length - before)
        world.advance(1)
      }
      return counts
    }
    const first = await askedPerSecond(world.start(peers))
    world.advance(86_400)
    const second = await askedPerSecond(world.start(peers))
    for (const counts of [first, second]) {
      expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(90)
      expect(Math.max(...counts)).toBeLessThanOrEqual(20)
    }
  })

  test('a file that is malformed keeps no other from being trusted', async () => {
    const world = createWorld()
    const replica = world.start([filePeer(a, 'no bundle'), filePeer(b, bundleText(b, { sequence: 1 }))])
    await replica.turn()
    expect(replica.sequences()).toEqual({ [a]: undefined, [b]: 1 })
  })

  test('each has its own bundle: nothing is merged', async () => {
    const world = createWorld()
    const replica = world.start([filePeer(a, bundleText(a)), filePeer(b, bundleText(b))])
    await replica.turn()
    const ders = [a, b].map((name) => replica.bundleOf(name)?.x509Authorities.map(({ der }) => der))
    expect(ders).toEqual([[authorityOf(a).der], [authorityOf(b).der]])
    expect(replica.bundleOf(domain('c.example'))).toBeUndefined()
  })
})

describe('several replicas', () => {
  test('one polls, all use what it got', async () => {
    const { world, replica } = await startHolding(5)
    const second = world.start([webPeer(a)])
    await second.refresh()
    await replica.refresh()
    answer(world, bundleText(a, { sequence: 6 }))
    await Promise.all([replica.poll(), second.poll()])
    expect(world.asked).toHaveLength(2)
    await Promise.all([replica.refresh(), second.refresh()])
    expect([replica.sequences(), second.sequences()]).toEqual([{ [a]: 6 }, { [a]: 6 }])
    expect([...replica.records, ...second.records]).toHaveLength(2)
  })

  test('the one that asks is left alone, and another asks a minute after it died', async () => {
    const { world, replica } = await startHolding(5)
    world.endpoints.set(a, () => Promise.withResolvers<string>().promise)
    void replica.poll()
    await settle()
    const second = world.start([webPeer(a)])
    answer(world, bundleText(a, { sequence: 6 }))
    world.advance(59)
    await second.turn()
    expect(second.sequences()).toEqual({ [a]: 5 })
    world.advance(1)
    await second.turn()
    expect(second.sequences()).toEqual({ [a]: 6 })
  })

  test('what another wrote puts nothing off: only the first poll of a process waits for its place', async () => {
    const world = createWorld(() => 0.99)
    const [first, second] = [world.start([webPeer(a)]), world.start([webPeer(a)])]
    await first.turn()
    await second.turn()
    expect(world.asked).toEqual([])
    world.advance(1)
    await first.importBundle(a, bundleText(a, { sequence: 5 }))
    await second.turn()
    expect(world.asked).toEqual([a])
  })

  test('an answer that comes after another replica wrote is dropped', async () => {
    const { world, replica } = await startHolding(5)
    const slow = Promise.withResolvers<string>()
    world.endpoints.set(a, () => slow.promise)
    const polled = replica.poll()
    await settle()
    const second = world.start([webPeer(a)])
    await second.refresh()
    await second.importBundle(a, bundleText(a, { sequence: 9 }))
    slow.resolve(bundleText(a, { sequence: 7 }))
    await polled
    await replica.refresh()
    expect(replica.sequences()).toEqual({ [a]: 9 })
    expect(changesOf(replica)).toHaveLength(1)
  })

  test('one whose configuration is older leaves alone what it does not know', async () => {
    const world = createWorld()
    const old = world.start([filePeer(b, bundleText(b))])
    await old.turn()
    const newer = world.start([filePeer(a, bundleText(a, { sequence: 5 })), filePeer(b, bundleText(b))])
    await newer.turn()
    await old.turn()
    expect(stateOf(world)?.sequence).toBe('5')
  })

  test('one that still has a relation which another ended keeps it', async () => {
    const { world, replica } = await startHolding(5)
    const second = world.start([])
    await second.refresh()
    expect(stateOf(world)).toBeUndefined()
    await replica.refresh()
    expect(stateOf(world)?.sequence).toBe('5')
    expect(replica.sequences()).toEqual({ [a]: 5 })
  })

  test('a store that was restored from a backup is believed', async () => {
    const { world, replica } = await startHolding(5)
    const backup = new Map(world.store.documents)
    answer(world, bundleText(a, { sequence: 6 }))
    await replica.turn()
    world.store.documents.clear()
    for (const [name, document] of backup) world.store.documents.set(name, document)
    await replica.refresh()
    expect(replica.sequences()).toEqual({ [a]: 5 })
    await replica.poll()
    expect(replica.sequences()).toEqual({ [a]: 6 })
  })
})

describe('a relation that the configuration ends', () => {
  test('is trusted no more at once, and its bundle goes with the next refresh', async () => {
    const { world, replica } = await startHolding(5)
    replica.configure([])
    expect(replica.bundleOf(a)).toBeUndefined()
    expect(replica.list()).toEqual([])
    await replica.refresh()
    expect(world.store.documents.get(`federation/${a}`)?.body).toBe('')
    expect(changesOf(replica).at(-1)).toEqual(['federation.bundle', 'configuration', '5', undefined])
    await replica.turn()
    expect(world.asked).toHaveLength(1)
    expect(replica.records).toHaveLength(2)
  })

  test('while the process was down, its bundle goes at the start', async () => {
    const { world } = await startHolding(5)
    await world.start([]).refresh()
    expect(stateOf(world)).toBeUndefined()
  })

  test('during a poll, the answer is dropped', async () => {
    const { world, replica } = await startHolding(5)
    const slow = Promise.withResolvers<string>()
    world.endpoints.set(a, () => slow.promise)
    const polled = replica.poll()
    await settle()
    replica.configure([])
    await replica.refresh()
    slow.resolve(bundleText(a, { sequence: 6 }))
    await polled
    await replica.refresh()
    expect(stateOf(world)).toBeUndefined()
  })

  test.each(['by a reload', 'by a restart'])('and begins again %s starts from its file', async (how) => {
    const peer = webPeer(a, bundleText(a, { sequence: 3 }))
    const { world, replica } = await startHolding(5, peer)
    replica.configure([])
    await replica.refresh()
    world.endpoints.clear()
    const again = how === 'by a reload' ? replica : world.start([peer])
    again.configure([peer])
    await again.turn()
    expect(again.sequences()).toEqual({ [a]: 3 })
    expect(changesOf(again).at(-1)).toEqual(['federation.bundle', 'file', undefined, '3'])
  })
})

describe('an endpoint that shows an SVID', () => {
  const trusting = (world: World, name: string, document: string) => {
    const seen: (readonly unknown[])[] = []
    world.endpoints.set(name, async ({ authorities }) => {
      seen.push(authorities.map(({ der }) => der))
      return document
    })
    return seen
  }

  test('of its own trust domain is judged by the newest bundle', async () => {
    const world = createWorld()
    const seen = trusting(world, a, bundleText(a, { sequence: 6, keys: [2] }))
    const replica = world.start([spiffePeer(a, a, bundleText(a, { sequence: 5, keys: [1] }))])
    await replica.turn()
    world.advance(300)
    await replica.turn()
    expect(seen).toEqual([[authorityOf(a, 1).der], [authorityOf(a, 2).der]])
  })

  test('of ours is judged by our authorities', async () => {
    const world = createWorld()
    const seen = trusting(world, a, bundleText(a, { sequence: 6 }))
    await world.start([spiffePeer(a, ours)]).turn()
    expect(seen).toEqual([[authorityOf(ours).der]])
  })

  test('of a third trust domain is judged by the bundle of that', async () => {
    const world = createWorld()
    const seen = trusting(world, a, bundleText(a, { sequence: 6 }))
    const replica = world.start([spiffePeer(a, b), filePeer(b, bundleText(b))])
    await replica.turn()
    expect(seen).toEqual([[authorityOf(b).der]])
    expect(replica.sequences()).toEqual({ [a]: 6, [b]: undefined })
  })

  test.each([
    ['that is unknown', [spiffePeer(a, b)]],
    ['of which nothing is held', [spiffePeer(a, b), webPeer(b)]],
    ['that has no keys any more', [spiffePeer(a, b), filePeer(b, '{"keys":[]}')]],
  ])('of a trust domain %s is not asked', async (_, peers) => {
    const world = createWorld()
    const replica = world.start(peers)
    await replica.turn()
    expect(world.asked).not.toContain(a)
    expect(stateOf(world)).toMatchObject({ failures: 1, problem: expect.stringContaining(b) })
  })
})

describe('the operator', () => {
  test('asks at once, and learns what is held', async () => {
    const { world, replica } = await startHolding(5)
    answer(world, bundleText(a, { sequence: 6 }))
    const status = await replica.refreshPeer(a, { acceptOlder: false, requestId: 'r1' })
    expect(status).toMatchObject({ trustDomain: a, state: { sequence: '6', source: 'endpoint' } })
    expect(status.held?.bundle.sequence).toBe(6n)
    expect(replica.records.at(-1)).toMatchObject({ requestId: 'r1', details: { from_sequence: '5', to_sequence: '6' } })
  })

  test('takes an older bundle of a peer that was restored by saying so', async () => {
    const { world, replica } = await startHolding(5)
    answer(world, bundleText(a, { sequence: 4 }))
    await expect(replica.refreshPeer(a, { acceptOlder: false })).rejects.toMatchObject({
      code: 'conflict',
      detail: expect.stringContaining('--accept-older'),
    })
    await replica.refreshPeer(a, { acceptOlder: true })
    await replica.turn()
    expect(replica.sequences()).toEqual({ [a]: 4 })
    expect(changesOf(replica).at(-1)).toEqual(['federation.bundle', 'endpoint', '5', '4'])
  })

  test('imports a bundle, an older one too, and the endpoint is asked at once', async () => {
    const { world, replica } = await startHolding(5)
    await replica.importBundle(a, bundleText(a, { sequence: 4, keys: [2] }), 'r2')
    expect(replica.sequences()).toEqual({ [a]: 4 })
    expect(changesOf(replica).at(-1)).toEqual(['federation.bundle', 'import', '5', '4'])
    expect(stateOf(world)?.pollAt).toEqual(world.now())
  })

  test('imports before the first turn: the file is taken first, so that it does not come back', async () => {
    const world = createWorld()
    const peer = filePeer(a, bundleText(a, { sequence: 5 }))
    const replica = world.start([peer])
    await replica.importBundle(a, bundleText(a, { sequence: 4 }))
    await replica.turn()
    await world.start([peer]).turn()
    expect(replica.sequences()).toEqual({ [a]: 4 })
  })

  test.each<[string, (replica: Replica) => Promise<unknown>, string]>([
    ['asking a stranger', (replica) => replica.refreshPeer(b, { acceptOlder: false }), 'not_found'],
    ['importing for a stranger', (replica) => replica.importBundle(b, bundleText(b)), 'not_found'],
    ['an endpoint that is not there', (replica) => replica.refreshPeer(a, { acceptOlder: true }), 'upstream_failed'],
    ['what is no bundle', (replica) => replica.importBundle(a, '{}'), 'malformed_request'],
  ])('is refused: %s', async (_, act, code) => {
    const { world, replica } = await startHolding(5)
    world.endpoints.clear()
    const before = stateOf(world)
    await expect(act(replica)).rejects.toThrow(refusal(code))
    expect(stateOf(world)).toEqual(before)
    expect(replica.records).toHaveLength(1)
  })

  test.each<[string, Peer, string]>([
    ['an endpoint that gives no bundle', webPeer(a), '<html>'],
    ['a peer without endpoint', filePeer(a, bundleText(a)), ''],
  ])('is refused as a conflict: %s', async (_, peer, document) => {
    const world = createWorld()
    answer(world, document)
    await expect(world.start([peer]).refreshPeer(a, { acceptOlder: true })).rejects.toThrow(refusal('conflict'))
  })

  test('is not kept from it by a replica that writes at the same time', async () => {
    const { world, replica } = await startHolding(5)
    const second = world.start([webPeer(a)])
    await Promise.all([
      replica.importBundle(a, bundleText(a, { sequence: 8 })),
      second.importBundle(a, bundleText(a, { sequence: 9 })),
    ])
    await replica.refresh()
    expect([8, 9]).toContain(replica.sequences()[a])
    expect([...replica.records, ...second.records]).toHaveLength(3)
  })
})

describe('a store that fails', () => {
  test('takes nothing away from what is trusted', async () => {
    const { world, replica } = await startHolding(5)
    world.store.failure = new Error('disk full')
    await expect(replica.refresh()).rejects.toThrow('disk full')
    await replica.poll()
    expect(replica.sequences()).toEqual({ [a]: 5 })
    expect(world.asked).toHaveLength(1)
    expect(replica.telemetry.lines.filter(({ name }) => name === 'error')).toHaveLength(1)
    world.store.failure = undefined
    await replica.turn()
    expect(world.asked).toHaveLength(2)
  })

  test('during a poll of many is said once a turn', async () => {
    const world = createWorld()
    const domains = Array.from({ length: 100 }, (_, n) => domain(`n${n}.example`))
    const replica = world.start(domains.map((name) => webPeer(name)))
    await replica.refresh()
    world.store.failure = new Error('disk full')
    await replica.poll()
    expect(replica.telemetry.lines.filter(({ name }) => name === 'error')).toHaveLength(1)
    expect(world.asked).toEqual([])
    expect(world.store.failed).toBeLessThan(100)
  })

  test('nothing is on record that was not kept', async () => {
    const { world, replica } = await startHolding(5)
    world.endpoints.set(a, async () => {
      world.store.failure = new Error('disk full')
      return bundleText(a, { sequence: 6 })
    })
    await replica.poll()
    expect(replica.sequences()).toEqual({ [a]: 5 })
    expect(replica.records).toHaveLength(1)
  })

  test('a bundle and the record of it are one write: neither is kept without the other', async () => {
    const { world, replica } = await startHolding(5)
    const { writeDocument } = world.store
    const written: string[] = []
    world.store.writeDocument = async (name, expected, body) => {
      written.push(readPeerState(body)?.sequence ?? 'none')
      expect(replica.records).toHaveLength(1)
      return writeDocument(name, expected, body)
    }
    answer(world, bundleText(a, { sequence: 6 }))
    await replica.refreshPeer(a, { acceptOlder: false })
    expect([written, replica.records.length]).toEqual([['6'], 2])

    world.store.writeDocument = async () => false
    replica.configure([])
    await replica.refresh()
    expect([stateOf(world)?.sequence, replica.records.length]).toEqual(['6', 2])
    world.store.writeDocument = writeDocument
    await replica.refresh()
    expect([stateOf(world), replica.records.length]).toEqual([undefined, 3])
  })

  test('a process that has no chain of records yet hears from the store what it lacks', async () => {
    const { world, replica } = await startHolding(5)
    world.chain = ''
    world.store.writeDocument = () => Promise.reject(new Error('the store is a copy'))
    replica.configure([])
    await expect(replica.refresh()).rejects.toThrow('the store is a copy')
  })

  test('one document that is damaged keeps no other from being read', async () => {
    const world = createWorld()
    world.store.documents.set(`federation/${a}`, { version: 1, body: '{' })
    const replica = world.start([webPeer(a), filePeer(b, bundleText(b, { sequence: 1 }))])
    await expect(replica.refresh()).rejects.toThrow()
    expect(replica.sequences()).toEqual({ [a]: undefined, [b]: 1 })
  })

  test('a bundle that can not be read any more is said, and nothing is trusted', async () => {
    const world = createWorld()
    const body = JSON.stringify({ bundle: '{}', pollAt: world.now(), failures: 0 })
    world.store.documents.set(`federation/${a}`, { version: 1, body })
    const replica = world.start([webPeer(a)])
    await replica.refresh()
    expect([replica.bundleOf(a), replica.bundleOf(a)]).toEqual([undefined, undefined])
    expect(replica.telemetry.lines.filter(({ name }) => name === 'error')).toHaveLength(1)
    answer(world, bundleText(a, { sequence: 6 }))
    await replica.poll()
    expect(replica.sequences()).toEqual({ [a]: 6 })
  })
})

test('close gives up what is under way and writes nothing after it', async () => {
  const { world, replica } = await startHolding(5)
  world.endpoints.set(a, ({ signal }) => {
    const { promise, resolve } = Promise.withResolvers<string>()
    signal.addEventListener('abort', () => resolve(bundleText(a, { sequence: 6 })))
    return promise
  })
  const polled = replica.poll()
  await settle()
  const claimed = stateOf(world)
  await replica.close()
  await polled
  expect(stateOf(world)).toEqual(claimed)
  world.advance(300)
  await replica.poll()
  expect(world.asked).toHaveLength(2)
})

test('what is read for the list is read when it is looked at', async () => {
  const { replica } = await startHolding(5)
  const [status] = replica.list()
  expect(status).toMatchObject({ trustDomain: a, endpoint: { profile: 'https_web' }, state: { sequence: '5' } })
  expect(status?.held?.document).toBe(bundleText(a, { sequence: 5, hint: 300 }))
})
