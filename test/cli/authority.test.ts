import { expect, test } from 'vitest'
import { type AuthorityDocument, formatAuthorities } from '../../src/cli/authority.ts'

const now = new Date('2026-11-23T02:00:00Z')

function authority(ring: string, state: string, extra: Partial<AuthorityDocument> = {}): AuthorityDocument {
  return {
    ...{ id: 'a'.repeat(40), ring, algorithm: 'ES256', state, upstream: false },
    ...{ created_at: '2026-11-20T02:00:00Z', expires_at: '2026-11-27T02:00:00Z', ...extra },
  }
}

test('authorities are listed by ring, each in the order of their lives, one line of a terminal each', () => {
  const table = formatAuthorities(
    [
      authority('jwt/ES256', 'active', { active_until: '2026-11-23T06:30:00Z' }),
      authority('x509', 'retiring', { tainted_at: '2026-11-23T01:00:00Z', active_until: '2026-11-23T01:00:00Z' }),
      authority('jwt/ES256', 'prepared'),
      authority('x509', 'active', { active_until: '2026-11-25T10:00:00Z' }),
    ],
    now,
  )
  const lines = table.split('\n')
  expect(lines.slice(1).map((line) => line.split(/ {2,}/).filter((cell) => !cell.startsWith('aaa')))).toEqual([
    ['x509', 'active', 'ES256', 'in 2d 8h', 'in 4d'],
    ['x509', 'retiring, tainted', 'ES256', '1h ago', 'in 4d'],
    ['jwt/ES256', 'prepared', 'ES256', '-', 'in 4d'],
    ['jwt/ES256', 'active', 'ES256', 'in 4h 30m', 'in 4d'],
  ])
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(120)
})

test('none are told as such', () => {
  expect(formatAuthorities([], now)).toBe('There are no authorities.')
})
