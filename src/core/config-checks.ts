/**
 * What the parts of a configuration mean to each other.
 *
 * Each check looks at parts that can be read, whatever is wrong with others, so that all mistakes are found at once.
 *
 * @module
 */
import { parseAddress } from './address-range.ts'
import { slotSeconds } from './authority-plan.ts'
import { findAwsProblems } from './config-aws.ts'
import type { DestinationDocument } from './config-destinations.ts'
import { type FederationPeerDocument, findPeerProblems, outlinePeer } from './config-federation.ts'
import { formatDuration } from './config-fields.ts'
import type { ConfigurationDocument, RuleDocument } from './config-schema.ts'
import type { Found } from './config-source.ts'
import type { SourceDocument } from './config-sources.ts'
import { findStoreProblems } from './config-store.ts'
import type { SyncDocument } from './config-syncs.ts'
import { findTargetProblems, type TargetDocument } from './config-targets.ts'
import { findFederationProblems } from './federation-peer.ts'
import { formatListenAddress, isLocal, type ListenAddress } from './listen-address.ts'
import { findSyncProblems, type Named } from './sync-checks.ts'

/** A part that can not be read is absent, an entry of a list is `undefined` in its place. */
export interface ReadableDocument
  extends Partial<
    Pick<
      ConfigurationDocument,
      'trust_domain' | 'issuer' | 'listen' | 'admin' | 'metrics' | 'bundle_endpoint' | 'store' | 'authorities'
    >
  > {
  readonly authenticators: ReadonlyMap<string, ConfigurationDocument['authenticators'][string]>
  /** Names of those that can not be read. */
  readonly brokenAuthenticators: ReadonlySet<string>
  /** False when what stands there is no map of them. */
  readonly hasAuthenticators: boolean
  readonly federation: ReadonlyMap<string, FederationPeerDocument>
  /** False when some of it can not be read. */
  readonly hasWholeFederation: boolean
  readonly targets: ReadonlyMap<string, TargetDocument>
  /** Names of those that can not be read. */
  readonly brokenTargets: ReadonlySet<string>
  readonly sources: Named<SourceDocument>
  readonly destinations: Named<DestinationDocument>
  readonly syncs: Named<SyncDocument>
  readonly identities: readonly (RuleDocument | undefined)[]
  readonly policies: readonly (ConfigurationDocument['policies'][number] | undefined)[]
}

export function checkDocument(document: ReadableDocument): readonly Found[] {
  return [
    ...checkListeners(document),
    ...checkIssuer(document),
    ...findStoreProblems(document.store),
    ...checkAuthenticators(document),
    ...findAwsProblems(document.authenticators),
    ...checkFederation(document),
    ...checkAuthorities(document),
    ...checkTtls(document),
    ...findTargetProblems(document),
    ...findSyncProblems(document),
    ...findOpenPermits(document),
  ]
}

/** What was left out would open every target, those that are added later as well. */
function findOpenPermits({ policies }: ReadableDocument): readonly Found[] {
  return policies.flatMap((policy, index): readonly Found[] => {
    const { permit = [], to, when = '' } = policy ?? {}
    if (!permit.includes('exchange') || to !== undefined || when.includes('target')) return []
    const message = "a permit of exchange without `to` is for every target: name them, or write to: '*'"
    return [{ path: ['policies', index], message, severity: 'warning' }]
  })
}

function checkListeners({ listen, admin, metrics, bundle_endpoint }: ReadableDocument): readonly Found[] {
  const found: Found[] = []
  if (listen?.tls === 'off' && !isLocal(listen.address) && listen.trusted_proxies === undefined)
    found.push({
      path: ['listen', 'tls'],
      message:
        'without TLS, proofs cross the network in the clear: listen on loopback or a unix socket, or name trusted_proxies',
    })
  if (admin !== undefined && admin.listen.kind !== 'unix')
    found.push({
      path: ['admin', 'listen'],
      message: 'the admin API is served on a unix socket only: expected unix:PATH',
    })
  if (admin?.console !== undefined && (admin.console.kind === 'unix' || !isLocal(admin.console)))
    found.push({
      path: ['admin', 'console'],
      message:
        'the console asks nobody who they are, so it is for this machine only: expected 127.0.0.1:PORT or [::1]:PORT',
    })
  const listeners: readonly (readonly [Found['path'], ListenAddress | undefined])[] = [
    [['listen', 'address'], listen?.address],
    [['admin', 'listen'], admin?.listen],
    [['admin', 'console'], admin?.console],
    [['metrics', 'listen'], metrics?.listen],
    [['bundle_endpoint', 'address'], bundle_endpoint?.address],
  ]
  return [...found, ...checkSameAddress(listeners)]
}

function checkSameAddress(
  listeners: readonly (readonly [Found['path'], ListenAddress | undefined])[],
): readonly Found[] {
  const taken = new Set<string>()
  return listeners.flatMap(([path, address]) => {
    if (address === undefined || isAnyPort(address)) return []
    const text = formatListenAddress(address)
    if (taken.has(text)) return [{ path, message: 'another listener has this address' }]
    taken.add(text)
    return []
  })
}

/** Port 0 is another one each time. */
function isAnyPort(address: ListenAddress): boolean {
  return address.kind === 'tcp' && address.port === 0
}

const hostPattern = /^(?=.*[a-z])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/

function checkIssuer({ issuer, listen }: ReadableDocument): readonly Found[] {
  if (issuer === undefined) return []
  const { port, hostname } = new URL(issuer)
  const found: Found[] = []
  if (port !== '')
    found.push({
      path: ['issuer'],
      message: 'the issuer has a port: AWS and Google refuse such an issuer',
      severity: 'warning',
    })
  const isAddress = parseAddress(hostname.replace(/^\[(.*)\]$/, '$1')) !== undefined
  if (listen?.tls === 'self' && !isAddress && !hostPattern.test(hostname))
    found.push({
      path: ['issuer'],
      message: `the certificate of \`tls: self\` names the issuer's host, and ${hostname} is neither a DNS name nor an address: give the issuer one, or set listen.tls to {certificate: FILE, key: FILE}`,
    })
  return found
}

function checkAuthenticators(document: ReadableDocument): readonly Found[] {
  const found: Found[] = []
  const domains = new Set<string>()
  for (const [name, config] of document.authenticators) {
    const path = ['authenticators', name]
    if (config.type === 'spiffe') {
      if (domains.has(config.trust_domain))
        found.push({ path: [...path, 'trust_domain'], message: 'two authenticators take SVIDs of this trust domain' })
      domains.add(config.trust_domain)
      const foreign = document.trust_domain !== undefined && config.trust_domain !== document.trust_domain
      if (foreign && document.hasWholeFederation && !document.federation.has(config.trust_domain))
        found.push({
          path: [...path, 'trust_domain'],
          message: `there is no bundle for ${config.trust_domain}: add it to federation`,
        })
    }
    if (config.type !== 'oidc' && config.type !== 'kubernetes') continue
    if (document.issuer !== undefined && sameIssuer(config.issuer, document.issuer))
      found.push({
        path: [...path, 'issuer'],
        message:
          'this is our own issuer: a token of ours must not give another one (authenticator type spiffe takes our SVIDs)',
      })
    if (config.jwks_uri !== undefined && config.jwks_file !== undefined)
      found.push({
        path: [...path, 'jwks_file'],
        message: 'keys come from jwks_uri or from jwks_file, not from both: remove one',
      })
  }
  return found
}

function checkFederation({ federation, hasWholeFederation, trust_domain }: ReadableDocument): readonly Found[] {
  const found = [...federation].flatMap(([name, peer]) => findPeerProblems(name, peer))
  if (trust_domain === undefined) return found
  const outlines = [...federation].flatMap(([name, peer]) => outlinePeer(name, peer) ?? [])
  return [...found, ...findFederationProblems(outlines, trust_domain, hasWholeFederation)]
}

const sameIssuer = (a: string, b: string) => a.replace(/\/$/, '') === b.replace(/\/$/, '')

const shortestTtlSeconds = 180

function checkAuthorities({ authorities }: ReadableDocument): readonly Found[] {
  if (authorities === undefined) return []
  const { jwt } = authorities
  const found: Found[] = []
  const message = `expected at least ${shortestTtlSeconds}s, so that each third of it is a minute`
  if (x509TtlSeconds(authorities) < shortestTtlSeconds) found.push({ path: ['authorities', 'x509', 'ttl'], message })
  if (jwt.ttl < shortestTtlSeconds) found.push({ path: ['authorities', 'jwt', 'ttl'], message })
  const twice = jwt.algorithms.findIndex((algorithm, index) => jwt.algorithms.indexOf(algorithm) !== index)
  if (twice >= 0)
    found.push({
      path: ['authorities', 'jwt', 'algorithms', twice],
      message: `${jwt.algorithms[twice]} is listed twice`,
    })
  if (jwt.rs256_audiences.length > 0 && !jwt.algorithms.includes('RS256'))
    found.push({
      path: ['authorities', 'jwt', 'algorithms'],
      message: `RS256 is not listed, but rs256_audiences (${jwt.rs256_audiences.join(', ')}) takes nothing else: list it, or set rs256_audiences: []`,
    })
  return found
}

const defaultX509TtlSeconds = 7 * 86_400
const defaultIntermediateTtlSeconds = 86_400

export function x509TtlSeconds({ x509 }: ConfigurationDocument['authorities']): number {
  return x509.ttl ?? (x509.upstream ? defaultIntermediateTtlSeconds : defaultX509TtlSeconds)
}

function checkTtls({ authorities, identities }: ReadableDocument): readonly Found[] {
  if (authorities === undefined) return []
  const x509 = x509TtlSeconds(authorities)
  return identities.flatMap((rule, index) =>
    rule === undefined
      ? []
      : [
          ...checkTtl(['identities', index, 'x509_ttl'], rule.x509_ttl, x509, 'authorities.x509.ttl'),
          ...checkTtl(['identities', index, 'jwt_ttl'], rule.jwt_ttl, authorities.jwt.ttl, 'authorities.jwt.ttl'),
        ],
  )
}

/** An authority signs for a third of its life and stays published for another: longer SVIDs would outlive it. */
function checkTtl(path: Found['path'], ttlSeconds: number, authorityTtlSeconds: number, key: string): readonly Found[] {
  const most = slotSeconds(authorityTtlSeconds)
  if (ttlSeconds <= most) return []
  return [
    { path, message: `at most a third of ${key}, which is ${formatDuration(most)}: shorten this or lengthen that` },
  ]
}
