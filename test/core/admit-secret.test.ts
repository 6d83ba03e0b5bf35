import { beforeEach, describe, expect, test } from 'vitest'
import { createCallerAdmission } from '../../src/core/admit-secret.ts'
import type { AuthenticatedIdentity, ProofUse } from '../../src/core/authenticate.ts'
import { parseConfiguration } from '../../src/core/config.ts'
import { createConfigured } from '../../src/core/configured.ts'
import type { RecordEntry } from '../../src/core/record.ts'
import { createRecordKeeper } from '../../src/core/record-keeper.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { createRefusalLimiter } from '../../src/core/refusal-limiter.ts'
import type { DocumentChange, JoinTokenSpend, StoredJoinToken } from '../../src/core/store.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'

const document = `
trust_domain: example.org
issuer: https://id.example.org
listen: { address: 127.0.0.1:8443 }
store: sqlite:a.db
seal: { file: seal.key }
authenticators:
  cluster: { type: kubernetes, issuer: https://k.example, audience: a }
  first: { type: join_token }
  ours: { type: spiffe, trust_domain: example.org }
  spire: { type: spiffe, trust_domain: spire.example }
federation: { spire.example: { bundle: x.json } }
identities:
  - { name: workloads, spiffe_id: '/ns/\${proof.namespace}', from: cluster, when: "proof.namespace != 'nobody'" }
  - { name: machines, spiffe_id: '/vm/\${proof.name}', from: first }
policies:
  - { name: own, permit: [read, write], when: "request.path.startsWith('ns/web/') && identity.path == '/ns/web'" }
  - { name: all, permit: '*', when: "identity.path == '/ns/root'" }
  - { name: vm, permit: read, when: "identity.path == '/vm/one' && request.path == 'vm/one'" }
  - { name: partner, permit: read, when: "identity.spiffe_id == 'spiffe://spire.example/partner' && request.path == 'shared'" }
  - { name: operation, permit: read, when: "request.operation == 'read' && request.path == 'public' && identity.trust_domain != 'nowhere.example'" }
  - { name: common, permit: read, when: "request.path == 'common'" }
  - { name: outside, forbid: '*', when: "!in_cidr(request.address, '10.0.0.0/8')", reason: only from inside }
  - { name: broken, forbid: read, when: "request.path == 'broken' && identity.claims.absent == 'x'" }
limits: { per_identity: 2 }
`
const now = new Date('2026-08-01T12:00:00.000Z')

function pod(namespace: string): AuthenticatedIdentity {
  const attributes = { namespace, service_account: 'front', service_account_uid: 'u' }
  return { authenticator: 'cluster', type: 'kubernetes', attributes, recorded: { namespace }, use: { kind: 'rules' } }
}

function svid(spiffeId: string, use: ProofUse, authenticator = 'ours'): AuthenticatedIdentity {
  const { trustDomain, path } = parseSpiffeId(spiffeId)
  const attributes = { spiffe_id: spiffeId, trust_domain: trustDomain, path, claims: {} }
  return { authenticator, type: 'spiffe', attributes, recorded: { spiffe_id: spiffeId }, use }
}

const web = 'spiffe://example.org/ns/web'
const ownJwt = svid(web, { kind: 'identity_only', spiffeId: parseSpiffeId(web) })
const partner = svid('spiffe://spire.example/partner', { kind: 'rules' }, 'spire')
const stranger = svid('spiffe://spire.example/other', { kind: 'rules' }, 'spire')
const machine: AuthenticatedIdentity = {
  authenticator: 'first',
  type: 'join_token',
  attributes: { name: 'one', attributes: {} },
  recorded: { name: 'one' },
  use: { kind: 'join_token', id: 'token-1' },
}

interface World {
  identity: AuthenticatedIdentity
  readonly kept: { entries: readonly RecordEntry[]; spend?: JoinTokenSpend; change?: DocumentChange }[]
  outcome: 'stored' | 'spent' | 'outdated'
  refusalsPerMinute: number
}
let world: World
let admit: ReturnType<typeof createCallerAdmission>

beforeEach(() => {
  world = { identity: pod('web'), kept: [], outcome: 'stored', refusalsPerMinute: 1000 }
  const clocks = { telemetry: silentTelemetry, now: () => now, monotonicMs: () => 0 }
  const configured = createConfigured(parseConfiguration(document), [], clocks)
  const writer = {
    async append(entries: readonly RecordEntry[], spend?: JoinTokenSpend, change?: DocumentChange) {
      if (world.outcome !== 'stored' && (spend || change)) return world.outcome
      world.kept.push({ entries, ...(spend && { spend }), ...(change && { change }) })
      return 'stored' as const
    },
    head: () => ({ chain: 'main', sequence: 0, mac: Buffer.alloc(32) }),
    isFailing: () => false,
    close: async () => {},
  }
  const limiter = createRefusalLimiter({ perMinute: () => world.refusalsPerMinute })
  admit = createCallerAdmission({
    configured: () => ({ ...configured, authenticate: () => world.identity }),
    store: { readJoinToken: async (): Promise<StoredJoinToken | undefined> => undefined },
    records: createRecordKeeper({ writer, limiter, telemetry: silentTelemetry, now: () => now }),
    telemetry: silentTelemetry,
    now: () => now,
  })
})

interface Asked {
  readonly needs?: 'read' | 'write'
  readonly address?: string
  readonly spiffeId?: string
}

const ask = (path: string, { needs = 'read', address = '10.0.0.1', spiffeId }: Asked = {}) =>
  admit(
    { call: { requestId: 'r', address }, ...(spiffeId !== undefined && { spiffeId }) },
    { operation: `kv.${needs}`, needs, path },
  )
const entries = () => world.kept.flatMap((one) => one.entries)

describe('admitted is', () => {
  test.each<[string, AuthenticatedIdentity, string, Asked, string]>([
    ['whom a permit names', pod('web'), 'ns/web/db', { needs: 'write' }, 'own'],
    ['who may everything', pod('root'), 'anything', { needs: 'write' }, 'all'],
    ['a folder that begins so', pod('web'), 'ns/web/', {}, 'own'],
    ['a JWT-SVID of ours', ownJwt, 'ns/web/db', {}, 'own'],
    ['a foreign SPIFFE ID that a permit names', partner, 'shared', {}, 'partner'],
    ['a join token', machine, 'vm/one', {}, 'vm'],
    ['anybody of any trust domain, where a permit says so', stranger, 'public', {}, 'operation'],
    ['anybody of ours, where a permit says no more', pod('shop'), 'common', {}, 'common'],
    ['the identity that is named', pod('web'), 'ns/web/db', { spiffeId: web }, 'own'],
  ])('%s', async (_, identity, path, asked, policy) => {
    world.identity = identity
    const admission = await ask(path, asked)
    expect(world.kept).toEqual([])
    expect(await admission.keep({ version: 3 })).toBe('stored')
    expect(entries()).toMatchObject([
      { operation: `kv.${asked.needs ?? 'read'}`, decision: 'granted', policy, details: { path, version: 3 } },
    ])
    expect(entries()[0]).toMatchObject({ requestId: 'r', address: '10.0.0.1', authenticator: identity.authenticator })
  })
})

describe('not admitted is', () => {
  test.each<[string, AuthenticatedIdentity, string, Asked, string]>([
    ['another path', pod('web'), 'ns/webb', {}, 'no policy permits it'],
    ['the folder above', pod('web'), 'ns/', {}, 'no policy permits it'],
    ['the root', pod('web'), '', {}, 'no policy permits it'],
    ['a write of one who reads', machine, 'vm/one', { needs: 'write' }, 'no policy permits it'],
    ['a foreign SPIFFE ID, where a permit does not say whose it is', stranger, 'common', {}, 'no policy permits it'],
    ['a write where reading is open', stranger, 'public', { needs: 'write' }, 'no policy permits it'],
    ['somebody from elsewhere', pod('web'), 'ns/web/db', { address: '192.0.2.1' }, 'only from inside'],
    ['whose address is not known', pod('web'), 'ns/web/db', { address: '' }, 'forbidden by outside, whose'],
    ['what a broken forbid is about', pod('root'), 'broken', {}, 'forbidden by broken, whose condition came to no'],
    ['whom no rule knows', pod('nobody'), 'ns/web/db', {}, 'no identity rule gives'],
    ['who names an identity of another', pod('web'), 'x', { spiffeId: 'spiffe://example.org/ns/root' }, 'is none of'],
  ])('%s', async (_, identity, path, asked, reason) => {
    world.identity = identity
    const refusal = await ask(path, asked).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(Refusal)
    expect(refusal).toMatchObject({ code: 'not_entitled', reason: expect.stringContaining(reason) })
    expect(entries()).toMatchObject([{ decision: 'refused', code: 'not_entitled', details: { path } }])
  })

  test('whoever asks more often than limits.per_identity', async () => {
    await ask('ns/web/a')
    await ask('ns/web/a')
    await expect(ask('ns/web/a')).rejects.toMatchObject({ code: 'too_many', retryAfterSeconds: expect.any(Number) })
    expect(entries()).toMatchObject([{ code: 'too_many' }])
  })
})

test('refusals of strangers are counted beyond the limit, and those of ours are not', async () => {
  world.refusalsPerMinute = 1
  world.identity = stranger
  for (let time = 0; time < 3; time++) await expect(ask('x')).rejects.toMatchObject({ code: 'not_entitled' })
  expect(entries()).toHaveLength(1)
  world.identity = pod('other')
  for (let time = 0; time < 3; time++) await expect(ask('x')).rejects.toMatchObject({ code: 'not_entitled' })
  expect(entries()).toHaveLength(4)
})

describe('whoever is admitted', () => {
  const change = { name: 'kv/vm/one', expected: 0, body: 'x' }

  test('spends a use with what is kept, and none with a refusal', async () => {
    world.identity = machine
    const admission = await ask('vm/one')
    await admission.keep({}, change)
    expect(world.kept).toMatchObject([{ spend: { id: 'token-1', at: now }, change }])
    await admission.refuse(new Refusal('not_found', 'nothing'), { version: 2 })
    expect(world.kept[1]).not.toHaveProperty('spend')
    expect(world.kept[1]?.entries).toMatchObject([
      { decision: 'refused', code: 'not_found', details: { path: 'vm/one', version: 2 } },
    ])
    expect(world.kept[1]?.entries[0]).not.toHaveProperty('policy')
  })

  test('is refused when the join token has no use left, on record', async () => {
    world.identity = machine
    const admission = await ask('vm/one')
    world.outcome = 'spent'
    await expect(admission.keep({}, change)).rejects.toMatchObject({ code: 'proof_rejected' })
    expect(entries()).toMatchObject([{ decision: 'refused', code: 'proof_rejected' }])
  })

  test('is told when somebody else was faster', async () => {
    const admission = await ask('ns/web/a', { needs: 'write' })
    world.outcome = 'outdated'
    expect(await admission.keep({}, change)).toBe('outdated')
    expect(entries()).toEqual([])
  })
})
