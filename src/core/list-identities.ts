/**
 * Which SPIFFE IDs a proof has: asked by workloads and by people who set one up. Spends no use of a join token.
 *
 * @module
 */
import type { AuthenticatedIdentity } from './authenticate.ts'
import type { Call } from './call.ts'
import type { Configured } from './configured.ts'
import { findEntitlements } from './entitle.ts'
import type { Entitlement } from './identify.ts'
import type { SvidIssuerDeps } from './issue-svids.ts'

export interface ListedIdentity {
  readonly spiffeId: string
  readonly hint?: string
  readonly audiences: readonly string[]
  readonly dnsNames: readonly string[]
  /** Absent where the proof gets no SVID of that kind. */
  readonly x509TtlSeconds?: number
  readonly jwtTtlSeconds?: number
}

type ListerDeps = Pick<SvidIssuerDeps, 'configured' | 'records' | 'store' | 'now'>

export function createIdentityLister(deps: ListerDeps) {
  return async (call: Call): Promise<readonly ListedIdentity[]> => {
    const configured = deps.configured()
    const origin = { call, operation: 'identities', document: configured.config.digest }
    const identity = await deps.records.authenticate(origin, () =>
      configured.authenticate(call.proof, call.authenticator),
    )
    const { listed, notes } = await listFor(deps, configured, call, identity)
    const entry = deps.records.begin(origin, identity)
    const reason = listed.length === 1 ? '1 identity' : `${listed.length} identities`
    await deps.records.keep([{ ...entry, decision: 'granted', reason, ...(notes.length > 0 && { notes }) }])
    return listed
  }
}

async function listFor(
  deps: ListerDeps,
  configured: Configured,
  call: Call,
  identity: AuthenticatedIdentity,
): Promise<{ readonly listed: readonly ListedIdentity[]; readonly notes: readonly string[] }> {
  if (identity.use.kind === 'identity_only')
    return { listed: [{ spiffeId: identity.use.spiffeId.uri, audiences: [], dnsNames: [] }], notes: [] }
  const { entitlements, notes } = await findEntitlements({
    configured,
    identity,
    address: call.address,
    now: deps.now(),
    operation: 'identities',
    readJoinToken: deps.store.readJoinToken,
  })
  return { listed: entitlements.map(describe), notes }
}

function describe({ spiffeId, rule, dnsNames }: Entitlement): ListedIdentity {
  return {
    spiffeId: spiffeId.uri,
    ...(rule.hint !== undefined && { hint: rule.hint }),
    audiences: rule.audiences,
    dnsNames,
    x509TtlSeconds: rule.x509TtlSeconds,
    jwtTtlSeconds: rule.jwtTtlSeconds,
  }
}
