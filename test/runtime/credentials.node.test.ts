/** Proofs become credentials of clouds: a real gateway, and clouds that check what real ones check. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RecordDocument } from '../../src/core/record.ts'
import { importPublicKey } from '../../src/protocol/public-key-info.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { createTestAuthority, makeTestKey } from '../support/certificate-authority.ts'
import { readToken } from '../support/clouds/presented-token.ts'
import { type CloudsWorld, issuer, openClouds, roleArn } from '../support/clouds-world.ts'
import type { Document } from '../support/gateway.ts'
import { ecSigner, signToken } from '../support/raw-token.ts'
import { openHttp2, type WireAnswer } from '../support/wire.ts'

const partner = makeTestKey()
const files = { partner: 'partner.json' }

function documentOf({ aws, azure, gcp }: CloudsWorld['targets'], folder: string, policies: readonly Document[] = []) {
  return {
    authorities: { jwt: { algorithms: ['ES256', 'RS256'] } },
    authenticators: {
      first: { type: 'join_token' },
      ours: { type: 'spiffe', trust_domain: 'example.org' },
      ci: { type: 'oidc', issuer: 'https://ci.example', audience: issuer, jwks_file: './ci.jwks.json' },
      partner: { type: 'spiffe', trust_domain: 'partner.example' },
    },
    federation: { 'partner.example': { bundle: join(folder, files.partner) } },
    identities: [
      { name: 'jobs', spiffe_id: '/ci/${proof.subject}', from: 'ci', when: "proof.subject != 'nobody'" },
      { name: 'team', spiffe_id: '/team', from: 'ci', when: "proof.subject.startsWith('job')" },
      { name: 'machines', spiffe_id: '/vm/${proof.name}', from: 'first' },
    ],
    targets: {
      s3: { ...aws, source_identity: true, tags: { spiffe_id: '${identity.spiffe_id}' } },
      vault: azure,
      bucket: gcp,
      flaky: { ...aws, session_duration: '20m' },
      broken: { ...aws, session_duration: '30m' },
      plain: { ...aws, session_duration: '40m' },
      other: { ...aws, session_duration: '50m' },
      shared: { ...aws, acts_as: '/cloud/shared' },
      closed: aws,
    },
    policies: [
      {
        name: 'clouds',
        permit: 'exchange',
        to: ['s3', 'vault', 'bucket', 'flaky', 'broken', 'plain', 'other', 'shared'],
        when: 'true',
      },
      { name: 'partner', permit: 'exchange', to: ['s3', 'shared'], when: "identity.trust_domain == 'partner.example'" },
      ...policies,
    ],
  }
}

function partnerBundle(): string {
  return formatTrustBundle({
    trustDomain: parseTrustDomain('partner.example'),
    sequence: 1n,
    x509Authorities: [createTestAuthority({ uris: [] }).der],
    jwtAuthorities: [{ kid: 'partner', key: importPublicKey(partner.publicKeyInfo) }],
  })
}

let world: CloudsWorld

async function open(): Promise<CloudsWorld> {
  return openClouds({
    document(targets, folder) {
      writeFileSync(join(folder, files.partner), partnerBundle())
      return documentOf(targets, folder)
    },
  })
}

beforeAll(async () => {
  world = await open()
})
beforeEach(() => {
  world.skewSeconds = 0
  world.knowSubjects([])
  for (const { requests } of [world.sts, world.entra, world.google]) requests.length = 0
})
afterAll(() => world.close())

/** A new identity for each test: nothing is reused by chance. */
const subject = (name: string) => `job-${name}`
const idOf = (name: string) => `spiffe://example.org/ci/${subject(name)}`
const proofOf = (name: string) => {
  const token = world.gateway.issuer.token({ sub: subject(name) })
  seen.push(token)
  return `Bearer ${token}`
}
/** Proofs and credentials that nobody may find anywhere. */
const seen: string[] = []

async function recordsOf(answer: WireAnswer): Promise<readonly RecordDocument[]> {
  return world.gateway.records(`request_id=${answer.headers['x-request-id']}&limit=1000`)
}

const tokenAt = ({ sts, entra, google }: CloudsWorld) =>
  [
    ...sts.requests.map(({ fields }) => fields['WebIdentityToken']),
    ...entra.requests.map(({ fields }) => fields['client_assertion']),
    ...google.requests.map(({ fields }) => fields['subject_token']),
  ].map((token = '') => {
    seen.push(token)
    return readToken(token)
  })

describe('a proof becomes a credential', () => {
  test.each([
    ['with the scheme', (proof: string) => proof],
    ['bare, as SDKs of AWS send it', (proof: string) => proof.slice('Bearer '.length)],
  ])('of AWS, %s', async (title, spell) => {
    const name = title.replace(/\W+/g, '-')
    const answer = await world.ask('s3', spell(proofOf(name)))
    expect(answer.status).toBe(200)
    expect(answer.headers['cache-control']).toBe('no-store')
    const { AccessKeyId, SecretAccessKey, Token, Expiration, ...more } = answer.json()
    expect(more).toEqual({ AccountId: '123456789012', RoleArn: roleArn })
    const key = world.sts.state.accessKeys.get(String(AccessKeyId))
    expect(key).toMatchObject({
      secretAccessKey: SecretAccessKey,
      sessionToken: Token,
      session: { subject: idOf(name), tags: { spiffe_id: idOf(name) } },
    })
    expect(key?.session?.sourceIdentity).toMatch(new RegExp(`^ci\\.job-${name}-[0-9a-f]{8}$`))
    expect(Expiration).toBe(`${key?.expiresAt?.toISOString().slice(0, 19)}Z`)

    expect(tokenAt(world)).toMatchObject([{ header: { alg: 'ES256', typ: 'JWT' }, claims: { iss: issuer } }])
    const records = await recordsOf(answer)
    expect(records).toMatchObject([
      {
        operation: 'exchange_token',
        decision: 'granted',
        target: 's3',
        spiffe_id: idOf(name),
        issued: { audience: ['sts.amazonaws.com'] },
      },
      {
        operation: 'exchange',
        decision: 'granted',
        target: 's3',
        spiffe_id: idOf(name),
        rule: 'jobs',
        issued: { credential_id: AccessKeyId },
        details: { acts_as: idOf(name), cloud_request_id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      },
    ])
    expect(records[0]?.issued?.jti).toBe(records[1]?.issued?.jti)
  })

  test('of Azure, for a token that is signed with RS256', async () => {
    world.knowSubjects([idOf('azure')])
    const answer = await world.ask('vault', proofOf('azure'))
    const issued = world.entra.issued.at(-1)
    expect(issued?.subject).toBe(idOf('azure'))
    expect(answer.json()).toMatchObject({
      access_token: issued?.accessToken,
      token_type: 'Bearer',
      expires_in: expect.closeTo(3599, -1),
      expires_at: expect.any(String),
    })
    expect(tokenAt(world)).toMatchObject([{ header: { alg: 'RS256' }, claims: { aud: 'api://AzureADTokenExchange' } }])
    expect((await recordsOf(answer)).map(({ operation, decision }) => [operation, decision])).toEqual([
      ['exchange_token', 'granted'],
      ['exchange', 'granted'],
    ])
  })

  test('of Google', async () => {
    const answer = await world.ask('bucket', proofOf('google'))
    const given = world.google.federatedTokens.at(-1)
    expect(given?.attributes['google.subject']).toBe('ci/job-google')
    expect(answer.json()).toMatchObject({ access_token: given?.accessToken, token_type: 'Bearer' })
  })

  test('as another identity of the proof, when it is asked for', async () => {
    const asked = `s3?spiffe_id=${encodeURIComponent('spiffe://example.org/team')}`
    const { AccessKeyId } = (await world.ask(asked, proofOf('team'))).json()
    expect(world.sts.state.accessKeys.get(String(AccessKeyId))?.session?.subject).toBe('spiffe://example.org/team')
    const foreign = await world.ask(`s3?spiffe_id=${encodeURIComponent(idOf('else'))}`, proofOf('team'))
    expect([foreign.status, foreign.json().code]).toEqual([403, 'not_entitled'])
  })

  test('as whom the target says, and the record has both', async () => {
    const answer = await world.ask('shared', proofOf('acting'))
    const { AccessKeyId } = answer.json()
    expect(world.sts.state.accessKeys.get(String(AccessKeyId))?.session?.subject).toBe(
      'spiffe://example.org/cloud/shared',
    )
    expect((await recordsOf(answer)).at(-1)).toMatchObject({
      spiffe_id: idOf('acting'),
      details: { acts_as: 'spiffe://example.org/cloud/shared' },
    })
  })

  test('a foreign SPIFFE ID that no rule maps has one only where the target says whom it acts as', async () => {
    const exp = Math.floor(Date.now() / 1000) + 300
    const claims = { sub: 'spiffe://partner.example/web', aud: issuer, exp }
    const token = signToken({ alg: 'ES256', kid: 'partner' }, claims, ecSigner(partner.privateKey))
    seen.push(token)
    expect((await world.ask('shared', `Bearer ${token}`)).status).toBe(200)
    const answer = await world.ask('s3', `Bearer ${token}`)
    expect([answer.status, answer.json().code]).toEqual([403, 'not_entitled'])
    expect((await recordsOf(answer)).at(-1)?.reason).toContain('no rule maps this foreign SPIFFE ID')
  })

  test('a join token is good for one, and for none that failed', async () => {
    const { token } = await world.gateway.joinToken()
    seen.push(token)
    world.sts.inject({ kind: 'unavailable' }, 4)
    expect((await world.ask('flaky', `Bearer ${token}`)).status).toBe(502)
    expect((await world.ask('flaky', `Bearer ${token}`)).status).toBe(200)
    const spent = await world.ask('flaky', `Bearer ${token}`)
    expect([spent.status, spent.json().code]).toEqual([401, 'proof_rejected'])
  })
})

test.each([
  ['that nobody made', 'else', 403],
  ['without a permit', 'closed', 403],
  ['in capitals', 'S3', 403],
  ['with a dot', 's3.', 403],
  ['encoded', '%73%33', 404],
  ['with a slash', 's3/', 404],
  ['above it', '../s3', 404],
  ['with a line break', 's3%0a', 404],
  ['none', '', 404],
  ['with a null', 's3%00', 404],
  ['too long', 'a'.repeat(64), 404],
])('a target %s gives nothing', async (_, target, status) => {
  const answer = await world.ask(target, proofOf('odd'))
  expect(answer.status).toBe(status)
  expect(world.sts.requests).toEqual([])
})

describe('what was had is reused', () => {
  test('for the same identity, without the cloud', async () => {
    const first = await world.ask('s3', proofOf('again'))
    const second = await world.ask('s3', proofOf('again'))
    expect(second.json()).toEqual(first.json())
    expect(world.sts.requests).toHaveLength(1)
    expect(await recordsOf(second)).toMatchObject([
      { operation: 'exchange', decision: 'granted', details: { reused: true } },
    ])
  })

  test('200 at once of one identity are one exchange, and each is on record', async () => {
    const client = await openHttp2(world.target)
    const headers = { authorization: proofOf('crowd') }
    const asked = Array.from({ length: 200 }, () => client.send('/v1/credentials/s3', { headers }))
    const answers = await Promise.all(asked)
    await client.close()
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(world.sts.requests).toHaveLength(1)
    const kept = await world.gateway.records(
      `limit=1000&operation=exchange&spiffe_id=${encodeURIComponent(idOf('crowd'))}`,
    )
    expect(new Set(kept.map(({ request_id }) => request_id)).size).toBe(200)
  })

  test('50 identities at once are 50 exchanges, whose credentials are their own', async () => {
    const client = await openHttp2(world.target)
    const names = Array.from({ length: 100 }, (_, n) => `one-of-${n % 50}`)
    const answers = await Promise.all(
      names.map((name) => client.send('/v1/credentials/s3', { headers: { authorization: proofOf(name) } })),
    )
    await client.close()
    const subjects = answers.map((answer) => {
      const { AccessKeyId } = answer.json()
      return world.sts.state.accessKeys.get(String(AccessKeyId))?.session?.subject
    })
    expect(subjects).toEqual(names.map(idOf))
    expect(world.sts.requests).toHaveLength(50)
  })

  test('never after the policy has changed: it is refused at once', async () => {
    const proof = proofOf('fired')
    expect((await world.ask('s3', proof)).status).toBe(200)
    const forbid = {
      name: 'fired',
      forbid: 'exchange',
      when: `identity.spiffe_id == '${idOf('fired')}'`,
      reason: 'left',
    }
    await reload([forbid])
    const refused = await world.ask('s3', proof)
    expect([refused.status, refused.json().code]).toEqual([403, 'not_entitled'])
    expect(await recordsOf(refused)).toMatchObject([{ decision: 'refused', policy: 'fired', target: 's3' }])
    await reload([])
    expect((await world.ask('s3', proof)).status).toBe(200)
    expect(world.sts.requests).toHaveLength(1)
  })

  test('never for a target that has changed', async () => {
    const proof = proofOf('moved')
    expect((await world.ask('s3', proof)).status).toBe(200)
    await reload([], { s3: { ...world.targets.aws, session_duration: '15m' } })
    expect((await world.ask('s3', proof)).status).toBe(200)
    expect(world.sts.requests.map(({ fields }) => fields['DurationSeconds'])).toEqual(['3600', '900'])
    await reload([])
  })

  async function reload(policies: readonly Document[], targets: Document = {}): Promise<void> {
    const document = documentOf(world.targets, world.folder, policies)
    const answer = await world.reload({ ...document, targets: { ...document.targets, ...targets } })
    expect(answer.text).toContain('"applied":true')
  }
})

describe('a cloud that fails', () => {
  test('throttling is waited for, and not seen by the caller', async () => {
    world.sts.inject({ kind: 'throttle' }, 2)
    const answer = await world.ask('flaky', proofOf('throttled'))
    expect(answer.status).toBe(200)
    expect(world.sts.requests).toHaveLength(3)
    expect(new Set(tokenAt(world).map((token) => token?.claims['jti'])).size).toBe(1)
  })

  test('a failure is told the caller without its code, and the operator with code and request id', async () => {
    world.sts.inject({ kind: 'unavailable' }, 4)
    const answer = await world.ask('flaky', proofOf('failed'))
    expect([answer.status, answer.json().code]).toEqual([502, 'upstream_failed'])
    expect(answer.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    expect(answer.text).not.toMatch(/ServiceUnavailable|flaky|aws/i)
    expect(world.sts.requests).toHaveLength(4)
    expect((await recordsOf(answer)).at(-1)).toMatchObject({
      operation: 'exchange',
      decision: 'refused',
      code: 'upstream_failed',
      reason: expect.stringMatching(
        /^target flaky: aws unreachable \(ServiceUnavailable, HTTP 503, request [0-9a-f-]{36}\): it says 'Service is unable/,
      ),
    })
  })

  test('a refusal is final, and says what to do about it', async () => {
    const answer = await world.ask('vault', proofOf('unknown-to-entra'))
    expect([answer.status, answer.json().code]).toEqual([502, 'upstream_failed'])
    expect(world.entra.requests).toHaveLength(1)
    expect((await recordsOf(answer)).at(-1)?.reason).toMatch(
      /azure refused \(AADSTS70021, HTTP 401, request [0-9a-f-]{36}\): .*some minutes/,
    )
  })

  test('one that fails again and again is left alone', async () => {
    world.sts.inject({ kind: 'unavailable' }, 20)
    const names = Array.from({ length: 5 }, (_, n) => `cut-${n}`)
    const failed = await Promise.all(names.map((name) => world.ask('broken', proofOf(name))))
    expect(failed.map(({ status }) => status)).toEqual([502, 502, 502, 502, 502])
    const asked = world.sts.requests.length
    expect(asked).toBe(20)
    const answer = await world.ask('broken', proofOf('cut-off'))
    expect(answer.status).toBe(502)
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    expect(world.sts.requests).toHaveLength(asked)
    expect((await recordsOf(answer)).at(-1)?.reason).toContain('circuit_open')
    expect((await world.ask('s3', proofOf('cut-off'))).status).toBe(200)
  })

  test.each([
    ['s3', 600, 'ExpiredTokenException', 2],
    ['vault', 600, 'AADSTS700024', 2],
    ['bucket', 600, 'invalid_grant', 2],
    ['s3', -600, 'InvalidIdentityToken', 1],
    ['vault', -600, 'AADSTS700024', 2],
    ['bucket', -600, 'invalid_grant', 2],
  ])(
    'a clock of %s that is %i seconds ahead is on record by the code of the cloud',
    async (target, skew, code, tries) => {
      world.skewSeconds = skew
      const name = `skewed-${target}-${skew}`
      world.knowSubjects([idOf(name)])
      const answer = await world.ask(target, proofOf(name))
      expect([answer.status, answer.json().code]).toEqual([502, 'upstream_failed'])
      const { reason } = (await recordsOf(answer)).at(-1) ?? {}
      expect(reason).toContain(`(${code}, HTTP 4`)
      expect(reason).toContain('clock')
      expect(tokenAt(world)).toHaveLength(tries)
      expect(new Set(tokenAt(world).map((token) => token?.claims['jti'])).size).toBe(tries)
    },
  )
})

test('keys of ours that are rotated or tainted in the middle of a run lose nobody an exchange', async () => {
  const names = Array.from({ length: 30 }, (_, n) => `rotation-${n}`)
  world.knowSubjects(names.map(idOf))
  const change = (body: Document) => world.gateway.admin('/v1/authorities', 'POST', body)
  const statuses: number[] = []
  for (const [n, name] of names.entries()) {
    if (n === 10) expect((await change({ action: 'activate', ring: 'jwt/RS256', force: true })).status).toBe(200)
    if (n === 20) expect((await change({ action: 'taint', id: await activeOf('jwt/ES256') })).status).toBe(200)
    const asked = ['s3', 'vault', 'bucket'].map((target) => world.ask(target, proofOf(name)))
    for (const { status } of await Promise.all(asked)) statuses.push(status)
  }
  expect(new Set(statuses)).toEqual(new Set([200]))
  const kids = (tokens: ReturnType<typeof tokenAt>) => [...new Set(tokens.map((token) => token?.header['kid']))]
  expect(kids(tokenAt(world)).length).toBe(4)
})

test('a token is used again for another target with its audience, until its key is tainted', async () => {
  for (const target of ['flaky', 'plain']) expect((await world.ask(target, proofOf('tainted'))).status).toBe(200)
  const [first, second] = tokenAt(world)
  expect(second?.claims['jti']).toBe(first?.claims['jti'])

  const change = { action: 'taint', id: await activeOf('jwt/ES256') }
  expect((await world.gateway.admin('/v1/authorities', 'POST', change)).status).toBe(200)
  await world.ask('other', proofOf('tainted'))
  const third = tokenAt(world)[2]
  expect(third?.claims['sub']).toBe(idOf('tainted'))
  expect(third?.header['kid']).not.toBe(first?.header['kid'])
})

async function activeOf(ring: string): Promise<string> {
  const { items } = (await world.gateway.admin('/v1/authorities')).json()
  const found = (items as readonly Document[]).find((item) => item.ring === ring && item.state === 'active')
  return String(found?.id)
}

test('no proof, token or credential is in a record, the log or the metrics', async () => {
  tokenAt(world)
  for (const key of world.sts.state.accessKeys.values()) seen.push(key.secretAccessKey, key.sessionToken ?? '')
  for (const { accessToken } of [...world.entra.issued, ...world.google.federatedTokens]) seen.push(accessToken)
  const kept = await Promise.all(
    ['oldest', 'newest'].map((order) => world.gateway.records(`limit=1000&order=${order}`)),
  )
  const metrics = await world.gateway.admin('/metrics')
  const shown = JSON.stringify([kept, world.gateway.log, metrics.text])
  expect(metrics.text).toContain('apostille_exchanges_total{')
  const found = seen.filter((secret) => secret !== '' && shown.includes(secret.split('.')[2] || secret))
  expect(seen.length).toBeGreaterThan(100)
  expect(found).toEqual([])
})
