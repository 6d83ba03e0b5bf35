import { expect, test } from 'vitest'
import type { SvidOutcome } from '../../../src/core/issue-svids.ts'
import { svidRoutes } from '../../../src/http/routes/svid.ts'

const call = { requestId: 'a', address: '127.0.0.1' }
const svid = {
  certificates: [Uint8Array.of(1)],
  spiffeId: { uri: 'spiffe://example.org/web' },
  expiresAt: new Date(0),
}
const outcome = { kind: 'x509', svid } as unknown as SvidOutcome

test('an X.509-SVID comes with the bundle that is published at that moment', async () => {
  let body = new TextEncoder().encode('first')
  const routes = svidRoutes({
    issueSvid: (async () => svid) as never,
    issueSvids: async () => [outcome],
    published: () => ({ bundlePem: { body } }) as never,
  })
  const ask = async (path: string, request: unknown) => {
    const answer = await routes[path]?.answer(call, JSON.stringify(request))
    return JSON.parse(String(answer?.body))
  }
  const bundles = async () => {
    const alone = await ask('/v1/svid/x509', { csr: 'AAAA' })
    const { results } = await ask('/v1/svids', { requests: [{ x509: { csr: 'AAAA' } }] })
    return [alone.bundle, results[0].bundle]
  }
  expect(await bundles()).toEqual(['first', 'first'])
  body = new TextEncoder().encode('second')
  expect(await bundles()).toEqual(['second', 'second'])
})
