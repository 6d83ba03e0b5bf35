/**
 * What an operator does to a running gateway. Every act is a record, a refused one too.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { parseCertificate } from '../protocol/certificate.ts'
import { formatHex } from '../protocol/encoding.ts'
import { formatJoinToken } from '../protocol/join-token.ts'
import { createOperatorAdmission } from './admit-secret.ts'
import type { RecordWriter } from './audit.ts'
import type { Authorities } from './authorities.ts'
import type { AuthorityChange } from './authority-changes.ts'
import type { Authority } from './authority-plan.ts'
import type { Configuration } from './config.ts'
import type { Configured } from './configured.ts'
import { createSecretKeeper, type SecretKeeperDeps } from './keep-secrets.ts'
import type { RecordEntry } from './record.ts'
import { Refusal } from './refusal.ts'
import { type IntermediateRequest, type SignedIntermediate, signIntermediate } from './sign-intermediate.ts'
import { findSimilarName } from './similar-name.ts'
import type { Store, StoredJoinToken } from './store.ts'
import { createExchangeTrial, type TryExchangeDeps } from './try-exchange.ts'

export interface OperatorDeps extends TryExchangeDeps, SecretKeeperDeps {
  readonly authorities: Authorities
  readonly store: SecretKeeperDeps['store'] &
    Pick<Store, 'createJoinToken' | 'listJoinTokens' | 'revokeJoinToken' | 'readJoinToken' | 'pruneJoinTokens'>
  readonly writer: RecordWriter
  readonly configured: () => Configured
  readonly now: () => Date
  readonly randomBytes: (size: number) => Uint8Array
}

export interface NewJoinToken {
  readonly authenticator: string
  /** What rules see as `proof.name`. Default: the token's id. */
  readonly name?: string
  readonly attributes: Readonly<Record<string, string>>
  readonly uses: number
  readonly ttlSeconds: number
}

export interface CreatedJoinToken {
  /** Shown once: only its digest is kept. */
  readonly token: string
  readonly stored: StoredJoinToken
}

export type Operator = ReturnType<typeof createOperator>

export function createOperator(deps: OperatorDeps) {
  function record(requestId: string, operation: string, details: RecordEntry['details']): Promise<unknown> {
    return deps.writer.append([entryOf(requestId, operation, details)])
  }

  function entryOf(requestId: string, operation: string, details: RecordEntry['details']): RecordEntry {
    return { time: deps.now(), requestId, operation, decision: 'granted', ...(details && { details }) }
  }

  return {
    /** An act that was not carried out, for whatever reason. @throws {Refusal} `store_unavailable`, `overloaded` */
    async recordRefusal(
      requestId: string,
      operation: string,
      { code, reason, detail = reason }: Refusal,
      details?: RecordEntry['details'],
    ): Promise<void> {
      const entry = entryOf(requestId, operation, details)
      await deps.writer.append([{ ...entry, decision: 'refused', code, reason: detail }])
    },

    listAuthorities: (): readonly Authority[] => deps.authorities.list(),

    /** A second taint changes nothing and is no act. @throws {Refusal} `not_found`, `conflict` */
    async changeAuthority(requestId: string, change: AuthorityChange): Promise<Authority> {
      const before = change.action === 'taint' && deps.authorities.list().find((known) => known.id === change.id)
      if (before && before.taintedAt !== undefined) return before
      const authority = await deps.authorities.change(change)
      const { id, ring } = authority
      await record(requestId, `authority.${change.action}`, { id, ring })
      return authority
    },

    /** @throws {Refusal} `malformed_request` when no authenticator of that name takes join tokens */
    async createJoinToken(requestId: string, wanted: NewJoinToken): Promise<CreatedJoinToken> {
      requireJoinTokens(deps.configured().config, wanted.authenticator)
      // Before and not after: a token that was made is told to whoever asked for it, whatever fails.
      await pruneJoinTokens(deps)
      const token = formatJoinToken(deps.randomBytes(32))
      const stored = storedJoinToken(wanted, token, formatHex(deps.randomBytes(8)), deps.now())
      await record(requestId, 'join_token.create', {
        id: stored.id,
        authenticator: stored.authenticator,
        name: stored.name,
        uses: stored.uses,
        expires_at: stored.expiresAt.toISOString(),
      })
      await deps.store.createJoinToken(stored)
      return { token, stored }
    },

    /** @throws {Refusal} `malformed_request`, `conflict`, `no_authority` */
    async signIntermediate(requestId: string, request: IntermediateRequest): Promise<SignedIntermediate> {
      const { authorities, now, randomBytes } = deps
      const { trustDomain } = deps.configured().config
      const signed = await signIntermediate(
        { authorities: authorities.current, trustDomain, now, randomBytes },
        request,
      )
      await record(requestId, 'authority.sign_intermediate', {
        signed_by: signed.authorityId,
        serial_number: formatHex(parseCertificate(signed.certificates[0] ?? new Uint8Array()).serialNumber),
        path_length: request.pathLength,
        expires_at: signed.expiresAt.toISOString(),
      })
      return signed
    },

    tryExchange: createExchangeTrial(deps),

    secrets: createSecretKeeper(deps, createOperatorAdmission(deps)),

    listJoinTokens: deps.store.listJoinTokens,

    /** Also ends the renewal of what the token started. @throws {Refusal} `not_found` */
    async revokeJoinToken(requestId: string, id: string): Promise<StoredJoinToken> {
      const revoked = joinTokenId.test(id) && (await deps.store.revokeJoinToken(id, deps.now()))
      const stored = revoked ? await deps.store.readJoinToken(id) : undefined
      if (stored === undefined)
        throw new Refusal('not_found', 'no such join token', { detail: 'no join token has that id' })
      await record(requestId, 'join_token.revoke', { id })
      return stored
    },
  }
}

/** What cannot be an id is not looked for, as stores differ in what they take. */
const joinTokenId = /^[ -~]{1,128}$/

/** @throws {Refusal} `malformed_request` */
function requireJoinTokens({ authenticators }: Configuration, name: string): void {
  if (authenticators.get(name)?.type === 'join_token') return
  const known = [...authenticators.values()].filter(({ type }) => type === 'join_token').map((taking) => taking.name)
  const similar = findSimilarName(name, known)
  const meant = similar === undefined ? '' : `: did you mean ${similar}?`
  throw new Refusal('malformed_request', 'no such authenticator', {
    detail: `authenticator: the configuration has none of this name with type join_token${meant}`,
  })
}

const shownSeconds = 7 * 86_400

/**
 * Tokens go when nothing that they began can be renewed any more, as an absent token is revoked for nobody, and when a
 * list has shown them for a week.
 */
async function pruneJoinTokens({ configured, store, now }: Pick<OperatorDeps, 'configured' | 'store' | 'now'>) {
  const rules = [...configured().config.rules.byDigest.values()]
  const renewableSeconds = Math.max(0, ...rules.map((rule) => rule.renewableForSeconds + rule.x509TtlSeconds))
  await store.pruneJoinTokens(new Date(now().getTime() - (shownSeconds + renewableSeconds) * 1000))
}

function storedJoinToken(wanted: NewJoinToken, token: string, id: string, now: Date): StoredJoinToken {
  const { authenticator, attributes, uses, ttlSeconds } = wanted
  return {
    id,
    authenticator,
    name: wanted.name ?? id,
    attributes,
    uses,
    usesLeft: uses,
    digest: createHash('sha256').update(token).digest(),
    createdAt: now,
    expiresAt: new Date(now.getTime() + ttlSeconds * 1000),
  }
}
