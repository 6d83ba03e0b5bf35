/**
 * The configuration document: text in, a checked and compiled configuration out, or every mistake in it at once with its
 * line and column.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { type AuthenticatorConfig, authenticatorSchema } from './config-authenticators.ts'
import { checkDocument, type ReadableDocument, x509TtlSeconds } from './config-checks.ts'
import { destinationSchema } from './config-destinations.ts'
import {
  type ConfiguredPeer,
  type FederationPeerDocument,
  federationPeerSchema,
  readPeer,
} from './config-federation.ts'
import { describeIssues } from './config-issues.ts'
import {
  type ConfigurationDocument,
  configurationSchema,
  nameField,
  readablePolicySchema,
  readableRuleSchema,
  type SchemaIssue,
} from './config-schema.ts'
import { type Diagnostic, type Found, readSource } from './config-source.ts'
import { sourceSchema } from './config-sources.ts'
import { syncSchema } from './config-syncs.ts'
import { algorithmOf, audiencesOf, type TargetDocument, targetSchema } from './config-targets.ts'
import type { Problem } from './expression.ts'
import { compileRules, type RuleInput, type RuleSet } from './identify.ts'
import type { ListenAddress } from './listen-address.ts'
import { compilePolicies, type PolicyInput, type PolicySet } from './policy.ts'
import { compileSyncs, type SyncSet } from './sync.ts'
import type { Named } from './sync-checks.ts'
import { compileTargets, type TargetSet } from './target.ts'

export type { Diagnostic } from './config-source.ts'

/** A document that is refused. `diagnostics` holds everything that is wrong with it, by line. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[]) {
    super(`the configuration has ${diagnostics.length} ${diagnostics.length === 1 ? 'error' : 'errors'}`)
    this.diagnostics = diagnostics
  }
}

/** A document that passed every check, with its expressions compiled. */
export interface Configuration
  extends Pick<
    ConfigurationDocument,
    'issuer' | 'listen' | 'admin' | 'metrics' | 'bundle_endpoint' | 'store' | 'outage' | 'seal' | 'limits'
  > {
  /** SHA-256 of the text, lower-case hex: names the document that decided, in records. */
  readonly digest: string
  readonly trustDomain: ConfigurationDocument['trust_domain']
  readonly authorities: {
    readonly x509: Omit<ConfigurationDocument['authorities']['x509'], 'ttl'> & { readonly ttlSeconds: number }
    readonly jwt: Omit<ConfigurationDocument['authorities']['jwt'], 'ttl' | 'rs256_audiences'> & {
      readonly ttlSeconds: number
      readonly rs256_audiences: readonly string[]
    }
  }
  readonly authenticators: ReadonlyMap<string, AuthenticatorConfig>
  readonly federation: readonly ConfiguredPeer[]
  readonly rules: RuleSet
  readonly targets: TargetSet
  readonly syncs: SyncSet
  readonly policies: PolicySet
  readonly warnings: readonly Diagnostic[]
}

/** @throws {ConfigurationError} with every mistake that was found */
export function parseConfiguration(text: string): Configuration {
  const source = readSource(text)
  if (source.problems.length > 0) throw new ConfigurationError(sorted(source.problems))
  const content = source.content ?? {}
  const shape = readShape(content)
  const readable = shape.success ? asReadable(shape.data) : readWhatCanBeRead(content)
  const compiled = compile(readable)
  const found: readonly Found[] = [
    ...(shape.success ? [] : describeIssues(shape.issues, content)),
    ...compiled.problems,
    ...checkDocument(readable),
  ]
  const diagnostics = sorted(found.map(source.locate))
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error')
  if (!shape.success || errors.length > 0) throw new ConfigurationError(errors)
  return assemble(text, shape.data, compiled, diagnostics)
}

type Shape =
  | { readonly success: true; readonly data: ConfigurationDocument }
  | { readonly success: false; readonly issues: readonly SchemaIssue[] }

function readShape(content: unknown): Shape {
  try {
    // Parsers that are compiled pay off after some dozens of documents, and a process reads one.
    const { success, data, error } = configurationSchema.safeParse(content, { jitless: true })
    return success ? { success, data } : { success, issues: error.issues }
  } catch (error) {
    if (!isTooMuch(error)) throw error
    const message = 'more is wrong here than can be told: above all, see that each part is of the right kind'
    return { success: false, issues: [{ code: 'custom', path: [], message, input: undefined }] }
  }
}

/** The schema hands on problems of a list or a map as arguments, of which there may be some hundred thousand. */
function isTooMuch(error: unknown): boolean {
  return error instanceof RangeError
}

function assemble(
  text: string,
  document: ConfigurationDocument,
  { rules, targets, syncs, policies }: Pick<Configuration, 'rules' | 'targets' | 'syncs' | 'policies'>,
  warnings: readonly Diagnostic[],
): Configuration {
  const { trust_domain, issuer, listen, admin, metrics, bundle_endpoint, store, outage, seal, limits, authorities } =
    document
  return {
    digest: createHash('sha256').update(text).digest('hex'),
    trustDomain: trust_domain,
    issuer,
    listen,
    admin,
    ...(metrics && { metrics }),
    ...(bundle_endpoint && { bundle_endpoint }),
    store,
    outage,
    seal,
    limits,
    authorities: {
      x509: { ...authorities.x509, ttlSeconds: x509TtlSeconds(authorities) },
      jwt: {
        ...authorities.jwt,
        ttlSeconds: authorities.jwt.ttl,
        // What a workload exchanges by itself is for the same cloud.
        rs256_audiences: [...authorities.jwt.rs256_audiences, ...rs256Audiences(targets, authorities.jwt.algorithms)],
      },
    },
    authenticators: new Map(
      Object.entries(document.authenticators).map(([name, config]) => [name, { ...config, name }]),
    ),
    federation: Object.entries(document.federation).flatMap(([name, peer]) => readPeer(name, peer) ?? []),
    rules,
    targets,
    syncs,
    policies,
    warnings,
  }
}

function rs256Audiences(
  targets: TargetSet,
  ours: ConfigurationDocument['authorities']['jwt']['algorithms'],
): readonly string[] {
  return [...targets.values()]
    .filter(({ document }) => algorithmOf(document, ours) === 'RS256')
    .flatMap(({ document }) => audiencesOf(document))
}

function asReadable(document: ConfigurationDocument): ReadableDocument {
  return {
    ...document,
    authenticators: new Map(Object.entries(document.authenticators)),
    brokenAuthenticators: new Set(),
    hasAuthenticators: true,
    federation: new Map(Object.entries(document.federation)),
    hasWholeFederation: true,
    targets: new Map(Object.entries(document.targets)),
    brokenTargets: new Set(),
    sources: allSound(document.sources),
    destinations: allSound(document.destinations),
    syncs: allSound(document.syncs),
  }
}

function allSound<T>(documents: Readonly<Record<string, T>>): Named<T> {
  return { sound: new Map(Object.entries(documents)), broken: new Set() }
}

type Plain = Readonly<Record<string, unknown>>

/** The parts of a broken document that are sound in themselves, so that what is wrong with them is told as well. */
function readWhatCanBeRead(content: unknown): ReadableDocument {
  const plain = asPlain(content)
  const authenticators = readNamed(authenticatorSchema, plain['authenticators'])
  const peers = Object.entries(asPlain(plain['federation'])).map(
    ([name, value]) => [name, readAs<FederationPeerDocument>(federationPeerSchema, value)] as const,
  )
  const targets = readNamed<TargetDocument>(targetSchema, plain['targets'])
  const { trust_domain, issuer, listen, admin, metrics, bundle_endpoint, store, authorities } =
    configurationSchema.shape
  const parts = {
    trust_domain: readAs(trust_domain, plain['trust_domain']),
    issuer: readAs(issuer, plain['issuer']),
    listen: readAs(listen, plain['listen']),
    admin: readAs(admin, plain['admin']),
    metrics: readAs(metrics, plain['metrics']),
    bundle_endpoint: readAs(bundle_endpoint, plain['bundle_endpoint']),
    store: readAs(store, plain['store']),
    authorities: readAs(authorities, plain['authorities']),
  }
  return {
    ...(Object.fromEntries(
      Object.entries(parts).filter(([, part]) => part !== undefined),
    ) as Partial<ReadableDocument>),
    authenticators: authenticators.sound,
    brokenAuthenticators: authenticators.broken,
    hasAuthenticators: isPlain(plain['authenticators'] ?? {}),
    federation: new Map(peers.flatMap(([name, peer]) => (peer ? [[name, peer] as const] : []))),
    targets: targets.sound,
    brokenTargets: targets.broken,
    sources: readNamed(sourceSchema, plain['sources']),
    destinations: readNamed(destinationSchema, plain['destinations']),
    syncs: readNamed(syncSchema, plain['syncs']),
    hasWholeFederation: peers.every(([, peer]) => peer !== undefined) && isPlain(plain['federation'] ?? {}),
    identities: asList(plain['identities']).map((rule) => readAs(readableRuleSchema, rule)),
    policies: asList(plain['policies']).map((policy) => readAs(readablePolicySchema, policy)),
  }
}

interface Reader<T> {
  readonly safeParse: (value: unknown) => { readonly success: boolean; readonly data?: T | undefined }
}

/** What has a name that is none is broken as well: names go into paths of SPIFFE IDs and of files. */
function readNamed<T>(schema: Reader<T>, content: unknown): Named<T> {
  const read = Object.entries(asPlain(content)).map(([name, value]) => {
    const isNamed = readAs(nameField, name) !== undefined
    return [name, isNamed ? readAs(schema, value) : undefined] as const
  })
  return {
    sound: new Map(read.flatMap(([name, document]) => (document ? [[name, document] as const] : []))),
    broken: new Set(read.flatMap(([name, document]) => (document ? [] : [name]))),
  }
}

function readAs<T>(schema: Reader<T>, value: unknown): T | undefined {
  try {
    const { success, data } = schema.safeParse(value)
    return success ? data : undefined
  } catch (error) {
    if (!isTooMuch(error)) throw error
    return undefined
  }
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asPlain(value: unknown): Plain {
  return isPlain(value) ? value : {}
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function compile(document: ReadableDocument) {
  const authenticators = new Map(
    [...document.authenticators].map(([name, config]) => [
      name,
      {
        type: config.type,
        ...(config.type === 'spiffe' && { trustDomain: config.trust_domain }),
        ...(config.type === 'aws' && { aws: config }),
        ...(config.type === 'oidc' && config.preset !== undefined && { preset: config.preset }),
      },
    ]),
  )
  const rules = compileRules(ruleInputs(document), {
    // Where it can not be read nothing is decided by it: the document is refused.
    trustDomain: document.trust_domain ?? ('' as TrustDomain),
    authenticators,
    reservedDnsNames: reservedDnsNames(document),
    reservedAudiences: [
      ...(document.issuer === undefined ? [] : [document.issuer]),
      ...[...document.targets.values()].flatMap(audiencesOf),
    ],
  })
  const known = {
    authenticators: [...authenticators.keys(), ...document.brokenAuthenticators],
    targets: [...document.targets.keys(), ...document.brokenTargets],
  }
  const targets = compileTargets(document.targets, { ...known, trustDomain: document.trust_domain })
  const syncs = compileSyncs(document.syncs.sound, {
    trustDomain: document.trust_domain,
    sources: document.sources.sound,
    destinations: document.destinations.sound,
    targets: targets.targets,
  })
  const policies = compilePolicies(policyInputs(document), { ...known, trustDomain: document.trust_domain })
  return {
    rules: rules.rules,
    targets: targets.targets,
    syncs: syncs.syncs,
    policies: policies.policies,
    problems: [
      ...rules.problems,
      ...targets.problems,
      ...syncs.problems,
      ...policies.problems,
      ...findEffectProblems(document),
    ],
  }
}

/** Without those from an authenticator that is itself broken: what a proof of it holds is not known. */
function ruleInputs({ identities, brokenAuthenticators, hasAuthenticators }: ReadableDocument): readonly RuleInput[] {
  if (!hasAuthenticators) return []
  return identities.flatMap((rule, index) =>
    rule === undefined || brokenAuthenticators.has(rule.from) ? [] : [{ ...rule, path: ['identities', index] }],
  )
}

function policyInputs({ policies }: ReadableDocument): readonly PolicyInput[] {
  return policies.flatMap((policy, index): readonly PolicyInput[] => {
    const { permit, forbid, to, ...rest } = policy ?? {}
    const operations = permit ?? forbid
    if (operations === undefined || (permit !== undefined && forbid !== undefined)) return []
    const effect = permit === undefined ? 'forbid' : 'permit'
    const targets = to === undefined ? undefined : [to].flat()
    return [{ ...rest, effect, operations: [operations].flat(), to: targets, path: ['policies', index] }]
  })
}

function findEffectProblems({ policies }: ReadableDocument): readonly Problem[] {
  return policies.flatMap((policy, index) => {
    if (policy === undefined || (policy.permit === undefined) !== (policy.forbid === undefined)) return []
    return [{ path: ['policies', index], message: 'a policy has either permit or forbid' }]
  })
}

/** Names that only our own listeners may have. */
function reservedDnsNames({ issuer, listen, metrics, bundle_endpoint }: ReadableDocument): readonly string[] {
  const issuerHost = issuer === undefined ? undefined : new URL(issuer).hostname
  const hosts = [issuerHost, hostOf(listen?.address), hostOf(metrics?.listen), hostOf(bundle_endpoint?.address)]
  return [...new Set(hosts.filter((host) => host !== undefined))]
}

function hostOf(address: ListenAddress | undefined): string | undefined {
  return address?.kind === 'tcp' ? address.host : undefined
}

function sorted(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  return [...diagnostics].sort((a, b) => a.line - b.line || a.column - b.column)
}
