import { Agent, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { beforeAll, expect, test } from 'vitest'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { poll } from './support/command.ts'
import { api, askJwtSvid, type Follower, followed, type ShownProof, startFollower } from './support/federation.ts'
import { buildDeadlineMs, part } from './support/parts.ts'
import { type AuthorityKind, type Spire, startSpire } from './support/spire.ts'

const hintSeconds = 10
const everyMs = 100
const web = 'spiffe://spire.test/web'
const stack = cleanupAfterAll()
let spire: Spire
let gateway: Follower

beforeAll(async () => {
  await part('spire.sh')
  spire = await startSpire(stack, { trustDomain: 'spire.test', refreshHint: `${hintSeconds}s` })
  gateway = await startFollower(stack, await makeFolder(stack), [await followed(spire)])
}, buildDeadlineMs)

/** Asks again and again, of which the answers are kept. */
interface Client {
  /** The answers to what is asked from now on: at least five. */
  readonly answers: () => Promise<readonly number[]>
}

function startClient(ask: () => Promise<number>): Client {
  const watchers = new Set<(answer: Promise<number>) => void>()
  const timer = setInterval(() => {
    const answer = ask()
    answer.catch(() => undefined) // whoever watches hears of it
    for (const watcher of watchers) watcher(answer)
  }, everyMs)
  stack.defer(async () => clearInterval(timer))
  return {
    async answers() {
      const seen: Promise<number>[] = []
      const { promise, resolve } = Promise.withResolvers<void>()
      const watcher = (answer: Promise<number>) => void (seen.push(answer) === 5 && resolve())
      watchers.add(watcher)
      await promise
      watchers.delete(watcher)
      return Promise.all(seen)
    },
  }
}

const statusFor = async (proof: ShownProof) => (await askJwtSvid(gateway, proof)).status

/** Over a connection that stays, so that an SVID is shown once and judged at each request. */
function keptConnection({ cert, key }: ShownProof): () => Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: gateway.bundle, ...(cert && key && { cert, key }) })
  stack.defer(async () => agent.destroy())
  return () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const headers = { 'content-type': 'application/json' }
    const sent = request(`${gateway.origin}/v1/svid/jwt`, { agent, method: 'POST', headers }, (response) => {
      text(response).then(() => resolve(response.statusCode ?? 0), reject)
    })
    sent.on('error', reject).end(JSON.stringify({ audience: [api] }))
    return promise
  }
}

/** Clients with an SVID of each kind that SPIRE's active authorities sign now. */
async function startClients(): Promise<readonly Client[]> {
  const bearer = await spire.mintJwt({ spiffeId: web, audience: gateway.origin, ttl: '10m' })
  const { chainPem: cert, keyPem: key } = await spire.mintX509({ spiffeId: web, ttl: '10m' })
  return [
    startClient(() => statusFor({ bearer })),
    startClient(() => statusFor({ cert, key })),
    startClient(keptConnection({ cert, key })),
  ]
}

async function answersOf(clients: readonly Client[]): Promise<ReadonlySet<number>> {
  return new Set((await Promise.all(clients.map((client) => client.answers()))).flat())
}

const kinds = ['jwt', 'x509'] as const satisfies readonly AuthorityKind[]

async function activeIds(): Promise<readonly string[]> {
  return Promise.all(kinds.map(async (kind) => (await spire.authorities(kind)).active?.authorityId ?? ''))
}

async function change(action: 'prepare' | 'activate' | 'taint' | 'revoke', ids: readonly string[]) {
  const changed = kinds.map((kind, index) => spire.localAuthority(kind, action, ids[index]))
  return (await Promise.all(changed)).map(({ authorityId }) => authorityId)
}

/** Nobody tells the gateway: it asks by itself. */
async function hintPassed(): Promise<void> {
  const { spiffe_sequence: sequence } = JSON.parse(await spire.bundleShow())
  await poll('the gateway has heard of it', hintSeconds * 1500, async () => {
    const { json } = await gateway.admin('/v1/federation/spire.test')
    return BigInt(json.sequence) >= BigInt(sequence) || undefined
  })
}

test('SPIRE changes its authorities, and its workloads are accepted until theirs is revoked', async () => {
  const first = await startClients()
  expect(await answersOf(first)).toEqual(new Set([200]))

  const old = await activeIds()
  const prepared = await change('prepare', [])
  await hintPassed()
  await change('activate', prepared)
  const second = await startClients()
  expect(await answersOf([...first, ...second])).toEqual(new Set([200]))

  await change('taint', old)
  expect(await answersOf([...first, ...second])).toEqual(new Set([200]))

  await change('revoke', old)
  // One that the gateway has not heard of. Of X.509 authorities it would take the endpoint itself out of reach.
  const { authorityId } = await spire.localAuthority('jwt', 'prepare')
  await spire.localAuthority('jwt', 'activate', authorityId)
  const third = await startClients()
  await hintPassed()
  expect(await answersOf(first)).toEqual(new Set([401]))
  expect(await answersOf([...second, ...third])).toEqual(new Set([200]))
  const { json } = await gateway.admin('/v1/records?order=newest&limit=100')
  const reasons = json.items.flatMap(({ reason }: { reason?: string }) => reason ?? [])
  expect(reasons).toContainEqual(expect.stringContaining('no such key'))
  expect(reasons).toContainEqual(expect.stringContaining('no path to a root'))
})
