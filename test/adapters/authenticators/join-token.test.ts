import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createJoinTokenAuthenticator } from '../../../src/adapters/authenticators/join-token.ts'
import { Refusal } from '../../../src/core/refusal.ts'
import type { StoredJoinToken } from '../../../src/core/store.ts'
import { digestJoinToken, formatJoinToken } from '../../../src/protocol/join-token.ts'

const now = new Date('2026-03-01T12:00:00Z')
const token = formatJoinToken(randomBytes(32))

const stored: StoredJoinToken = {
  id: 'jt-1',
  authenticator: 'first',
  name: 'edge-7',
  digest: digestJoinToken(token),
  attributes: { site: 'berlin' },
  uses: 3,
  usesLeft: 1,
  createdAt: new Date('2026-03-01T11:55:00Z'),
  expiresAt: new Date('2026-03-01T12:05:00Z'),
}

async function authenticate(changed: Partial<StoredJoinToken> = {}, shown = token) {
  const kept = { ...stored, ...changed }
  const store = {
    findJoinToken: async (digest: Uint8Array) => (Buffer.compare(digest, kept.digest) === 0 ? kept : undefined),
  }
  const authenticator = createJoinTokenAuthenticator({ name: 'first', type: 'join_token' }, { store })
  return authenticator.authenticate({ kind: 'bearer', token: shown }, now)
}

test('a join token is what the operator said of it, and is not reused', async () => {
  expect(await authenticate()).toEqual({
    identity: {
      authenticator: 'first',
      type: 'join_token',
      attributes: { name: 'edge-7', attributes: { site: 'berlin' } },
      recorded: { id: 'jt-1', name: 'edge-7', attributes: { site: 'berlin' } },
      use: { kind: 'join_token', id: 'jt-1' },
    },
  })
})

test('says what is routed here', () => {
  const store = { findJoinToken: async () => undefined }
  const authenticator = createJoinTokenAuthenticator({ name: 'first', type: 'join_token' }, { store })
  expect(authenticator).toMatchObject({ name: 'first', type: 'join_token', accepts: { joinTokens: true } })
})

const refused: readonly (readonly [string, Partial<StoredJoinToken>, string, string])[] = [
  ['that nobody made', {}, formatJoinToken(randomBytes(32)), 'there is no such join token'],
  ['with a typing error', {}, token.replace(/.$/, (last) => (last === '0' ? '1' : '0')), 'no join token (checksum)'],
  ['that is something else', {}, 'a.b.c', 'no join token (not of its form)'],
  ['of another authenticator', { authenticator: 'second' }, token, 'join token jt-1 is for authenticator second'],
  ['that was revoked', { revokedAt: now }, token, 'join token jt-1 was revoked at 2026-03-01T12:00:00.000Z'],
  ['that expires this very moment', { expiresAt: now }, token, 'join token jt-1 expired at 2026-03-01T12:00:00.000Z'],
  ['that is used up', { usesLeft: 0 }, token, 'join token jt-1 has no use left'],
]

test.each(refused)('refuses one %s', async (_, changed, shown, reason) => {
  await expect(authenticate(changed, shown)).rejects.toMatchObject({
    code: 'proof_rejected',
    reason: expect.stringContaining(reason),
  })
})

test('all failures look alike from outside, and none holds the token', async () => {
  const errors = await Promise.all(
    refused.map(([, changed, shown]) => authenticate(changed, shown).catch((error: unknown) => error)),
  )
  expect(errors.every((error) => error instanceof Refusal)).toBe(true)
  expect(new Set(errors.map((error) => `${(error as Refusal).code} ${(error as Refusal).message}`)).size).toBe(1)
  for (const error of errors) expect((error as Refusal).reason).not.toContain(token.slice(9, 40))
})

test('a certificate is refused', async () => {
  const store = { findJoinToken: async () => stored }
  const authenticator = createJoinTokenAuthenticator({ name: 'first', type: 'join_token' }, { store })
  await expect(authenticator.authenticate({ kind: 'certificate', chain: [] }, now)).rejects.toMatchObject({
    code: 'proof_rejected',
  })
})

test('a store that fails is no refusal of the token', async () => {
  const store = {
    findJoinToken: async () => {
      throw new Refusal('store_unavailable', 'away')
    },
  }
  const authenticator = createJoinTokenAuthenticator({ name: 'first', type: 'join_token' }, { store })
  await expect(authenticator.authenticate({ kind: 'bearer', token }, now)).rejects.toMatchObject({
    code: 'store_unavailable',
  })
})
