/**
 * Fields that several parts of the configuration share.
 *
 * @module
 */
import * as z from 'zod'
import { ProtocolError } from '../protocol/errors.ts'
import { parseIssuer } from '../protocol/oidc-discovery.ts'
import { parseTrustDomain } from '../protocol/spiffe-id.ts'

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const

const durationPattern = /^[1-9]\d{0,8}[smhd]$/
const expectedDuration = 'expected a duration such as 90s, 5m, 1h or 7d'

/** `90s`, `5m`, `1h`, `7d` → seconds, from one second to ten years. */
export const durationField = z
  .string()
  .regex(durationPattern, expectedDuration)
  .transform((text, context) => {
    const seconds = Number(text.slice(0, -1)) * unitSeconds[text.at(-1) as keyof typeof unitSeconds]
    if (seconds <= 10 * 366 * unitSeconds.d) return seconds
    context.addIssue({ code: 'custom', message: `${expectedDuration}, of at most ten years` })
    return z.NEVER
  })

/** Seconds → as the configuration has them, in the largest unit that fits: 201600 is `56h`. */
export function formatDuration(seconds: number): string {
  const fitting = Object.entries(unitSeconds).findLast(([, size]) => seconds % size === 0)
  return fitting && seconds > 0 ? `${seconds / fitting[1]}${fitting[0]}` : `${seconds}s`
}

/** Runs a parser of the protocol floor and reports what it says as an issue at this field. */
export function protocolField<T>(parse: (text: string) => T, expected: string) {
  return z.string().transform((text, context) => {
    try {
      return parse(text)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      context.addIssue({ code: 'custom', message: `expected ${expected}${error.detail ? ` (${error.detail})` : ''}` })
      return z.NEVER
    }
  })
}

export const trustDomainField = protocolField(
  parseTrustDomain,
  'a trust domain name such as example.org, in lower case',
)
export const issuerField = protocolField(
  parseIssuer,
  'an https URL without query or fragment, in its canonical spelling',
)
