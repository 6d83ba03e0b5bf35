/**
 * Which SPIFFE IDs a proof has: asked by workloads and by people who set one up. Spends no use of a join token.
 *
 * @module
 */
import type { AuthenticatedIdentity } from './authenticate.ts'
import type { Call } from './call.ts'
import type { Configured } from './configured.ts'
import { findEntitlements, policySubject } from './entitle.ts'
import type { Entitlement, RequestContext } from './identify.ts'
import type { SvidIssuerDeps } from './issue-svids.ts'
import { decide } from './policy.ts'
import { traced } from './telemetry.ts'

export interface ListedIdentity {
  readonly spiffeId: string
  readonly hint?: string
  readonly audiences: readonly string[]
  readonly dnsNames: readonly string[]
  /** Absent where the proof gets no SVID of that kind. */
  readonly x509TtlSeconds?: number
  readonly jwtTtlSeconds?: number
}

type ListerDeps = Pick<SvidIssuerDeps, 'configured' | 'records' | 'store' | 'telemetry' | 'now'>

export function createIdentityLister(deps: ListerDeps) {
  return async (call: Call): Promise<readonly ListedIdentity[]> => {
    const configured = deps.configured()
    const origin = { call, operation: 'identities', document: configured.config.digest }
    const identity = await deps.records.authenticate(origin, () =>
      configured.authenticate(call.proof, call.authenticator),
    )
    const { listed, notes, stranger } = await traced(deps.telemetry, 'authorise', () =>
      listFor(deps, configured, call, identity),
    )
    const reason = listed.length === 1 ? '1 identity' : `${listed.length} identities`
    const said = { decision: 'granted', reason, ...(notes.length > 0 && { notes }) } as const
    const entry = { ...deps.records.begin(origin, identity), ...said }
    await deps.records.keep(stranger ? deps.records.ofStranger(entry, 'not_entitled') : [entry])
    return listed
  }
}

interface Listing {
  readonly listed: readonly ListedIdentity[]
  readonly notes: readonly string[]
  /** No identity rule gives the proof anything. */
  readonly stranger: boolean
}

async function listFor(
  deps: ListerDeps,
  configured: Configured,
  call: Call,
  identity: AuthenticatedIdentity,
): Promise<Listing> {
  if (identity.use.kind === 'identity_only')
    return {
      listed: [{ spiffeId: identity.use.spiffeId.uri, audiences: [], dnsNames: [] }],
      notes: [],
      stranger: false,
    }
  const { entitlements, notes } = await findEntitlements({
    configured,
    identity,
    address: call.address,
    now: deps.now(),
    operation: 'identities',
    readJoinToken: deps.store.readJoinToken,
  })
  const { address } = call
  const request: RequestContext = { operation: 'identities', time: deps.now(), ...(address !== '' && { address }) }
  const { policies } = configured.config
  const isForbidden = (entitlement: Entitlement) =>
    !decide(policies, policySubject(identity, entitlement), request, true).granted
  const listed = entitlements.filter((entitlement) => !isForbidden(entitlement))
  const hidden = entitlements.length - listed.length
  return {
    listed: listed.map(describe),
    stranger: entitlements.length === 0,
    notes: hidden === 0 ? notes : [...notes, `${hidden} more are not shown, as a policy forbids everything here`],
  }
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
