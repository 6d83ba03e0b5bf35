import { describe, expect, test } from 'vitest'
import type { Authority } from '../../../src/core/authority-plan.ts'
import { authoritiesPage, spansOf } from '../../../src/http/console/authorities-page.ts'

const at = (hour: number) => new Date(Date.UTC(2026, 11, 1, hour))
const now = at(12)

/** Made at 0 h, with a third of 6 h: prepared until 6 h, signs until 12 h, ends at 18 h. */
function authority(changes: Partial<Authority> = {}): Authority {
  return {
    id: 'aa'.repeat(20),
    ring: 'x509',
    algorithm: 'ES256',
    state: 'active',
    createdAt: at(0),
    slotSeconds: 6 * 3600,
    leadSeconds: 6 * 3600,
    activeUntil: at(12),
    expiresAt: at(18),
    publicKey: '',
    keyName: 'k',
    ...changes,
  }
}

const hoursOf = (given: Authority) =>
  spansOf(given).map(({ state, from, until }) => [state, from.getUTCHours(), until.getUTCHours()])

/** What is not planned yet is not there. */
function unplanned(changes: Partial<Authority>): Authority {
  const { activeUntil: _unused, ...rest } = authority(changes)
  return rest
}

describe('the life of an authority', () => {
  test.each<[string, Authority, unknown]>([
    [
      'as planned',
      authority(),
      [
        ['prepared', 0, 6],
        ['active', 6, 12],
        ['retiring', 12, 18],
      ],
    ],
    [
      'that waits',
      unplanned({ state: 'prepared' }),
      [
        ['prepared', 0, 6],
        ['active', 6, 12],
        ['retiring', 12, 18],
      ],
    ],
    [
      'the very first, which signs at once',
      authority({ activeUntil: at(6), expiresAt: at(12) }),
      [
        ['active', 0, 6],
        ['retiring', 6, 12],
      ],
    ],
    [
      'that retires',
      authority({ state: 'retiring' }),
      [
        ['prepared', 0, 6],
        ['active', 6, 12],
        ['retiring', 12, 18],
      ],
    ],
    [
      'that was replaced before it signed',
      authority({ state: 'retiring', activeUntil: at(0), expiresAt: at(6) }),
      [['retiring', 0, 6]],
    ],
  ])('%s', (_, given, spans) => {
    expect(hoursOf(given)).toEqual(spans)
  })
})

const show = async (...authorities: Authority[]) => String(await authoritiesPage(authorities, now))

test('each is drawn, and told in words for those who do not see it', async () => {
  const page = await show(
    authority(),
    unplanned({ id: 'bb'.repeat(20), state: 'prepared', createdAt: at(6), expiresAt: at(23) }),
  )
  expect(page.match(/<rect class="(?:prepared|active|retiring)"/g)).toHaveLength(6)
  expect(page).toContain('<svg viewBox="0 0 960 84" aria-hidden="true" focusable="false">')
  expect(page.match(/<tr><th scope="row">/g)).toHaveLength(2)
  expect(page).toContain('<td>prepared</td>')
  expect(page).toContain('in 6 h')
})

test('one that is tainted is told from others', async () => {
  const page = await show(authority({ state: 'retiring', taintedAt: at(11) }))
  expect(page).toContain('tainted</span> <time datetime="2026-12-01T11:00:00.000Z">')
  expect(page.match(/<rect class="(?:prepared|active|retiring) tainted"/g)).toHaveLength(3)
})

test('before there is one', async () => {
  const page = await show()
  expect(page).toContain('There is none yet.')
  expect(page).not.toContain('<svg')
})
