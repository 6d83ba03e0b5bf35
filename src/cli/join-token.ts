/**
 * Join tokens as the admin socket tells of them.
 *
 * @module
 */
import { formatMoment, formatTable } from './output.ts'

export interface JoinTokenDocument {
  readonly id: string
  readonly authenticator: string
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly uses: number
  readonly uses_left: number
  readonly created_at: string
  readonly expires_at: string
  readonly revoked_at?: string
}

export function formatJoinTokens(tokens: readonly JoinTokenDocument[], now: Date): string {
  if (tokens.length === 0) return 'There are no join tokens.'
  const rows = tokens.map((token) => [
    token.id,
    token.name,
    token.authenticator,
    `${token.uses_left} of ${token.uses}`,
    stateOf(token, now),
    formatMoment(new Date(token.expires_at), now),
  ])
  return formatTable(['ID', 'NAME', 'AUTHENTICATOR', 'USES LEFT', 'STATE', 'EXPIRES'], rows)
}

function stateOf(token: JoinTokenDocument, now: Date): string {
  if (token.revoked_at !== undefined) return 'revoked'
  if (new Date(token.expires_at) <= now) return 'expired'
  return token.uses_left > 0 ? 'good' : 'spent'
}
