import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseConfiguration } from '../../src/core/config.ts'
import { createOperator, type OperatorDeps } from '../../src/core/operator.ts'
import { testNow } from '../support/certificate-authority.ts'

const document = `
trust_domain: example.org
issuer: https://id.example.org
listen: { address: 127.0.0.1:8443 }
store: sqlite:a.db
seal: { file: seal.key }
authenticators: { first: { type: join_token } }
identities:
  - { spiffe_id: '/vm/\${proof.name}', from: first }
  - { spiffe_id: '/rack/\${proof.name}', from: first, renewable_for: 30d, x509_ttl: 2h }
`

const day = 86_400_000

const wanted = { authenticator: 'first', name: 'one', attributes: {}, uses: 1, ttlSeconds: 60 }

function operatorOf(done: (string | Date)[], prune: (at: Date) => Promise<void>) {
  const deps: Partial<OperatorDeps> = {
    configured: () => ({ config: parseConfiguration(document) }) as never,
    store: {
      createJoinToken: async ({ name }: { readonly name: string }) => void done.push(name),
      pruneJoinTokens: prune,
    } as never,
    changes: { tell: () => undefined } as never,
    writer: { append: async () => 'stored' } as never,
    now: () => testNow,
    randomBytes,
  }
  return createOperator(deps as OperatorDeps)
}

test('a new join token takes old ones away, but none whose revocation a renewal may still have to see', async () => {
  const done: (string | Date)[] = []
  await operatorOf(done, async (at) => void done.push(at)).createJoinToken('r', wanted)
  expect(done).toEqual([new Date(testNow.getTime() - 37 * day - 2 * 3_600_000), 'one'])
})

test('where old join tokens can not be taken away, no new one is made that nobody is told of', async () => {
  const done: (string | Date)[] = []
  const operator = operatorOf(done, () => Promise.reject(new Error('the store is away')))
  await expect(operator.createJoinToken('r', wanted)).rejects.toThrow('the store is away')
  expect(done).toEqual([])
})
