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

test('a new join token takes old ones away, but none whose revocation a renewal may still have to see', async () => {
  const done: (string | Date)[] = []
  const deps: Partial<OperatorDeps> = {
    configured: () => ({ config: parseConfiguration(document) }) as never,
    store: {
      createJoinToken: async ({ name }: { readonly name: string }) => void done.push(name),
      pruneJoinTokens: async (at: Date) => void done.push(at),
    } as never,
    changes: { tell: () => undefined } as never,
    writer: { append: async () => 'stored' } as never,
    now: () => testNow,
    randomBytes,
  }
  const wanted = { authenticator: 'first', name: 'one', attributes: {}, uses: 1, ttlSeconds: 60 }
  await createOperator(deps as OperatorDeps).createJoinToken('r', wanted)
  expect(done).toEqual(['one', new Date(testNow.getTime() - 37 * day - 2 * 3_600_000)])
})
