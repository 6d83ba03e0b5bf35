import { expect, test } from 'vitest'
import type { Authority } from '../../../src/core/authority-plan.ts'
import type { PeerStatus } from '../../../src/core/federation.ts'
import { type Overview, overviewPage } from '../../../src/http/console/overview-page.ts'

const now = new Date('2026-12-01T12:00:00Z')

const config = {
  digest: '0123456789abcdef',
  issuer: 'https://id.example.org',
  trustDomain: 'example.org',
  authenticators: new Map(),
  rules: { byDigest: new Map() },
  policies: { all: [] },
  targets: new Map(),
  warnings: [],
} as unknown as Overview['config']

const show = async (changes: Partial<Overview> = {}) =>
  String(await overviewPage({ config, configurationRefused: false, authorities: [], peers: [], now, ...changes }))

function peer(state?: Partial<NonNullable<PeerStatus['state']>>): PeerStatus {
  return {
    trustDomain: 'partner.example',
    held: undefined,
    ...(state && { state: { failures: 0, pollAt: now, ...state } }),
  } as unknown as PeerStatus
}

const authority = (changes: Partial<Authority>) => ({ ring: 'jwt/ES256', state: 'active', ...changes }) as Authority

test('where all is well nothing needs attention', async () => {
  const page = await show({
    authorities: [authority({ activeUntil: new Date('2026-12-03T12:00:00Z') })],
    peers: [peer({ bundle: '{}' })],
  })
  expect(page).toContain('<p class="nothing">Nothing.</p>')
  expect(page).toContain('ready')
  expect(page).toContain('in 2 d')
})

test.each<[string, Partial<Overview>, string, string]>([
  ['what keeps it from issuing', { problem: 'the store does not answer' }, 'bad', 'the store does not answer'],
  ['a document that is refused', { configurationRefused: true }, 'warning', 'apostille check'],
  [
    'a tainted authority',
    { authorities: [authority({ state: 'retiring', taintedAt: now })] },
    'warning',
    'a tainted authority of jwt/ES256 is published',
  ],
  ['a trust domain without a bundle', { peers: [peer()] }, 'bad', 'there is no bundle of partner.example'],
  [
    'a bundle that is not kept fresh, and why',
    { peers: [peer({ bundle: '{}', failures: 3, problem: 'no answer within 10 s' })] },
    'warning',
    'no answer within 10 s',
  ],
  [
    'what the configuration is warned of',
    {
      config: {
        ...config,
        warnings: [{ severity: 'warning', line: 4, column: 1, message: 'the issuer has a port', path: 'issuer' }],
      } as Overview['config'],
    },
    'warning',
    'line 4 of the configuration',
  ],
])('says %s', async (_, changes, kind, words) => {
  const page = await show(changes)
  expect(page).toContain(words)
  expect(page).toMatch(new RegExp(`<th scope="row"><span class="status ${kind}">`))
  expect(page).not.toContain('<p class="nothing">')
})
