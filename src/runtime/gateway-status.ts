/**
 * What the admin API tells of a running gateway at `/v1/status`.
 *
 * @module
 */
import type { Authorities } from '../core/authorities.ts'
import type { Federation, PeerStatus } from '../core/federation.ts'
import type { Gateway } from '../core/gateway.ts'
import type { SealRotation } from '../http/routes/seal.ts'

export interface GatewayStatusDeps {
  readonly gateway: Pick<Gateway, 'configured' | 'configurationRefused' | 'ready'>
  readonly authorities: Pick<Authorities, 'current'>
  readonly federation: Pick<Federation, 'list'>
  readonly seal: Pick<SealRotation, 'keyId' | 'isUnfinished'>
  readonly now: () => Date
}

export async function describeGateway({ gateway, authorities, federation, seal, now }: GatewayStatusDeps) {
  const { config } = gateway.configured()
  const problem = await gateway.ready().then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
  return {
    ready: problem === undefined,
    ...(problem !== undefined && { problem }),
    time: now().toISOString(),
    trust_domain: config.trustDomain,
    issuer: config.issuer,
    document: config.digest,
    configuration: gateway.configurationRefused() ? 'refused' : 'current',
    bundle_sequence: authorities.current().sequence,
    seal_key: seal.keyId(),
    seal_rotation: seal.isUnfinished() ? 'unfinished' : 'none',
    authenticators: [...config.authenticators.values()].map(({ name, type }) => ({ name, type })),
    federation: federation.list().map((peer) => peerStatus(peer, now())),
  }
}

/** What is kept of a peer; its bundle is not read for it, as there may be a thousand. */
function peerStatus({ trustDomain, state }: PeerStatus, now: Date) {
  const confirmedAt = state?.confirmedAt
  return {
    trust_domain: trustDomain,
    has_bundle: state?.bundle !== undefined,
    confirmed_at: confirmedAt?.toISOString(),
    age_seconds: confirmedAt && Math.max(0, Math.floor((now.getTime() - confirmedAt.getTime()) / 1000)),
    failures: state?.failures ?? 0,
    problem: state?.problem,
  }
}
