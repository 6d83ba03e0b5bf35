import { createPublicKey, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSealedKeys, parseSealKey } from '../../../src/adapters/keys/sealed.ts'
import { SealError } from '../../../src/core/key-manager.ts'
import { type SignatureAlgorithm, verifySignature } from '../../../src/protocol/algorithms.ts'

const sealKey = randomBytes(32)
const keys = createSealedKeys({ sealKey, trustDomain: 'example.org', randomBytes })
const data = Buffer.from('something to sign')

describe('a key', () => {
  test.each<SignatureAlgorithm>(['ES256', 'ES384', 'ES512', 'RS256'])(
    'of %s signs once it was opened',
    async (algorithm) => {
      const { sealed, publicKey } = await keys.createKey('authority/a', algorithm)
      const signer = await keys.openKey('authority/a', algorithm, sealed)
      expect(signer.algorithm).toBe(algorithm)
      expect(Buffer.from(signer.publicKey).equals(publicKey)).toBe(true)
      const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' })
      expect(verifySignature(algorithm, key, data, await signer.sign(data))).toBe(true)
    },
  )

  test('of ES256 signs at once, and the slow ones do not hold up the event loop', async () => {
    const sign = async (algorithm: SignatureAlgorithm) => {
      const { sealed } = await keys.createKey('a', algorithm)
      return (await keys.openKey('a', algorithm, sealed)).sign(data)
    }
    const { sealed } = await keys.createKey('a', 'ES256')
    expect((await keys.openKey('a', 'ES256', sealed)).sign(data)).toBeInstanceOf(Uint8Array)
    for (const algorithm of ['ES384', 'RS256'] as const) expect(await sign(algorithm)).toBeInstanceOf(Uint8Array)
    const rsa = await keys.createKey('a', 'RS256')
    expect((await keys.openKey('a', 'RS256', rsa.sealed)).sign(data)).toBeInstanceOf(Promise)
  })

  test('does not open as one of another name, algorithm or trust domain, under another seal key, or as a secret', async () => {
    const { sealed } = await keys.createKey('a', 'ES256')
    const elsewhere = createSealedKeys({ sealKey, trustDomain: 'other.example', randomBytes })
    const otherKey = createSealedKeys({ sealKey: randomBytes(32), trustDomain: 'example.org', randomBytes })
    const attempts = [
      keys.openKey('b', 'ES256', sealed),
      keys.openKey('a', 'ES384', sealed),
      elsewhere.openKey('a', 'ES256', sealed),
      otherKey.openKey('a', 'ES256', sealed),
      keys.openSecret('a', sealed),
    ]
    for (const attempt of attempts) await expect(attempt).rejects.toBeInstanceOf(SealError)
    await expect(otherKey.openKey('a', 'ES256', sealed)).rejects.toThrow(
      /"a" cannot be opened: the seal key is not.*restore/,
    )
  })
})

describe('a secret', () => {
  test('is 32 bytes, another each time', async () => {
    const opened = await Promise.all(
      [1, 2].map(async () => Buffer.from(await keys.openSecret('s', await keys.createSecret('s'))).toString('hex')),
    )
    expect(opened[0]).toMatch(/^[0-9a-f]{64}$/)
    expect(opened[0]).not.toBe(opened[1])
  })

  test('is sealed under another nonce each time, so that nothing shows which are equal', async () => {
    const fixed = createSealedKeys({
      sealKey,
      trustDomain: 'example.org',
      randomBytes: (size) => (size === 32 ? Buffer.alloc(32) : randomBytes(size)),
    })
    expect(await fixed.createSecret('s')).not.toBe(await fixed.createSecret('s'))
  })

  test('with any byte changed does not open', async () => {
    const sealed = await keys.createSecret('s')
    const bytes = Buffer.from(sealed.slice(3), 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      await expect(keys.openSecret('s', `v1.${changed.toString('base64url')}`)).rejects.toBeInstanceOf(SealError)
    }
  })

  test.each([
    ['nothing', ''],
    ['no version', 'AAAA'],
    ['another version', `v2.${'A'.repeat(80)}`],
    ['too little', 'v1.AAAA'],
    ['no base64url', `v1.${'='.repeat(80)}`],
  ])('that is %s is refused', async (_, sealed) => {
    await expect(keys.openSecret('s', sealed)).rejects.toBeInstanceOf(SealError)
  })

  test('never opens from text that was not sealed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 28, maxLength: 100 }), async (bytes) => {
        const sealed = `v1.${Buffer.from(bytes).toString('base64url')}`
        await expect(keys.openSecret('s', sealed)).rejects.toBeInstanceOf(SealError)
      }),
    )
  })

  test('is bound to a name that no other name can be taken for', async () => {
    const sealed = await createSealedKeys({ sealKey, trustDomain: 'a', randomBytes }).createSecret('bc')
    const shifted = createSealedKeys({ sealKey, trustDomain: 'ab', randomBytes })
    await expect(shifted.openSecret('c', sealed)).rejects.toBeInstanceOf(SealError)
  })
})

describe('the seal key', () => {
  const text = sealKey.toString('base64')

  test.each([text, `${text}\n`, `${text}\r\n`])('is read from base64', (given) => {
    expect(parseSealKey(given).equals(sealKey)).toBe(true)
  })

  test.each([
    ['empty', ''],
    ['too short', randomBytes(31).toString('base64')],
    ['too long', randomBytes(33).toString('base64')],
    ['hex', sealKey.toString('hex')],
    ['two keys', `${text}\n${text}`],
    ['prose', 'a secret that nobody guesses'],
  ])('is refused when it is %s, without a word of it', (_, given) => {
    const read = () => parseSealKey(given)
    expect(read).toThrow(SealError)
    expect(read).toThrow(/openssl rand -base64 32/)
    if (given !== '') expect(read).not.toThrow(given)
  })

  test('of another length is refused', () => {
    expect(() => createSealedKeys({ sealKey: randomBytes(16), trustDomain: 'a', randomBytes })).toThrow(SealError)
  })
})

describe('bytes', () => {
  const bytes = (text: string) => Buffer.from(text)

  test('are what they were once they are opened, and are wiped when they are sealed', async () => {
    const given = bytes('planted-value')
    const sealed = await keys.sealBytes('kv/a#1', given)
    expect(given.equals(Buffer.alloc(given.length))).toBe(true)
    expect(Buffer.from(sealed.slice(3), 'base64url').toString('latin1')).not.toContain('planted')
    expect(Buffer.from(await keys.openBytes('kv/a#1', sealed)).toString()).toBe('planted-value')
    expect(Buffer.from(await keys.openBytes('n', await keys.sealBytes('n', bytes('')))).toString()).toBe('')
  })

  test('do not open as those of another name or trust domain, under another key, or as a secret', async () => {
    const sealed = await keys.sealBytes('kv/a#1', bytes('x'))
    const elsewhere = createSealedKeys({ sealKey, trustDomain: 'other.example', randomBytes })
    const otherKey = createSealedKeys({ sealKey: randomBytes(32), trustDomain: 'example.org', randomBytes })
    for (const attempt of [
      keys.openBytes('kv/a#2', sealed),
      elsewhere.openBytes('kv/a#1', sealed),
      otherKey.openBytes('kv/a#1', sealed),
      keys.openSecret('kv/a#1', sealed),
      keys.openBytes('s', await keys.createSecret('s')),
    ])
      await expect(attempt).rejects.toBeInstanceOf(SealError)
  })
})
