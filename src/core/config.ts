/**
 * The configuration document: text in, a checked and compiled configuration out, or every mistake in it at once with its
 * line and column.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { isMap, isScalar, LineCounter, type Node, type Pair, parseDocument } from 'yaml'
import { slotSeconds } from './authority-plan.ts'
import type { AuthenticatorConfig } from './config-authenticators.ts'
import { type ConfigurationDocument, configurationSchema } from './config-schema.ts'
import type { Problem } from './expression.ts'
import { compileRules, type RuleInput, type RuleSet } from './identify.ts'
import { isLocal, type ListenAddress } from './listen-address.ts'
import { compilePolicies, type PolicyInput, type PolicySet } from './policy.ts'

/** One mistake, or a warning, and where it stands. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning'
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
  /** Such as `identities[0].when`; empty for the document itself. */
  readonly path: string
  readonly message: string
}

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
  extends Pick<ConfigurationDocument, 'issuer' | 'listen' | 'admin' | 'metrics' | 'store' | 'seal' | 'limits'> {
  /** SHA-256 of the text, lower-case hex: names the document that decided, in records. */
  readonly digest: string
  readonly trustDomain: ConfigurationDocument['trust_domain']
  readonly authorities: {
    readonly x509: Omit<ConfigurationDocument['authorities']['x509'], 'ttl'> & { readonly ttlSeconds: number }
    readonly jwt: Omit<ConfigurationDocument['authorities']['jwt'], 'ttl'> & { readonly ttlSeconds: number }
  }
  readonly authenticators: ReadonlyMap<string, AuthenticatorConfig>
  readonly rules: RuleSet
  readonly policies: PolicySet
  readonly warnings: readonly Diagnostic[]
}

const defaultX509TtlSeconds = 7 * 86_400
const defaultIntermediateTtlSeconds = 86_400

type Path = readonly PropertyKey[]
type Found = Problem & { readonly severity?: 'warning' }

/** @throws {ConfigurationError} with every mistake that was found */
export function parseConfiguration(text: string): Configuration {
  const lines = new LineCounter()
  const yaml = parseDocument(text, { lineCounter: lines, uniqueKeys: true, version: '1.2', schema: 'core' })
  const locate = createLocator(yaml.contents as Node | null, lines)
  const syntax = yaml.errors.map((error) => ({ ...position(lines, error.pos[0]), message: firstLine(error.message) }))
  if (syntax.length > 0)
    throw new ConfigurationError(syntax.map((error) => ({ severity: 'error', path: '', ...error })))

  const shape = configurationSchema.safeParse(toPlain(yaml))
  if (!shape.success) throw new ConfigurationError(sorted(shape.error.issues.flatMap(describeIssue).map(locate)))

  const document = shape.data
  const x509Ttl =
    document.authorities.x509.ttl ??
    (document.authorities.x509.upstream ? defaultIntermediateTtlSeconds : defaultX509TtlSeconds)
  const compiled = compile(document)
  const found: readonly Found[] = [
    ...compiled.problems,
    ...checkListeners(document),
    ...checkIssuer(document),
    ...checkAuthenticators(document),
    ...checkAuthorities(document, x509Ttl),
  ]
  const diagnostics = found.map(locate)
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error')
  if (errors.length > 0) throw new ConfigurationError(sorted(errors))

  const { trust_domain, issuer, listen, admin, metrics, store, seal, limits, authorities } = document
  return {
    digest: createHash('sha256').update(text).digest('hex'),
    trustDomain: trust_domain,
    issuer,
    listen,
    admin,
    ...(metrics && { metrics }),
    store,
    seal,
    limits,
    authorities: {
      x509: { ...authorities.x509, ttlSeconds: x509Ttl },
      jwt: { ...authorities.jwt, ttlSeconds: authorities.jwt.ttl },
    },
    authenticators: new Map(namedAuthenticators(document).map((config) => [config.name, config])),
    rules: compiled.rules,
    policies: compiled.policies,
    warnings: sorted(diagnostics),
  }
}

function compile(document: ConfigurationDocument) {
  const authenticators = new Map(
    namedAuthenticators(document).map((config) => [
      config.name,
      { type: config.type, ...(config.type === 'spiffe' && { trustDomain: config.trust_domain }) },
    ]),
  )
  const rules = compileRules(
    document.identities.map((rule, index): RuleInput => ({ ...rule, path: ['identities', index] })),
    {
      trustDomain: document.trust_domain,
      authenticators,
      reservedDnsNames: reservedDnsNames(document),
      reservedAudiences: [document.issuer],
    },
  )
  const policies = compilePolicies(
    document.policies.flatMap(({ permit, forbid, ...policy }, index): PolicyInput[] => {
      const operations = permit ?? forbid
      if (operations === undefined || (permit !== undefined && forbid !== undefined)) return []
      const effect = permit === undefined ? 'forbid' : 'permit'
      return [{ ...policy, effect, operations: [operations].flat(), path: ['policies', index] }]
    }),
    { authenticators: Object.keys(document.authenticators) },
  )
  const effects = document.policies.flatMap(({ permit, forbid }, index): Problem[] =>
    (permit === undefined) === (forbid === undefined)
      ? [{ path: ['policies', index], message: 'a policy has either permit or forbid' }]
      : [],
  )
  return {
    rules: rules.rules,
    policies: policies.policies,
    problems: [...rules.problems, ...policies.problems, ...effects],
  }
}

function namedAuthenticators(document: ConfigurationDocument): readonly AuthenticatorConfig[] {
  return Object.entries(document.authenticators).map(([name, config]) => ({ ...config, name }))
}

/** Names that only our own listeners may have. */
function reservedDnsNames(document: ConfigurationDocument): readonly string[] {
  const hosts = [new URL(document.issuer).hostname, ...[document.listen.address, document.metrics?.listen].map(hostOf)]
  return [...new Set(hosts.filter((host) => host !== undefined))]
}

function hostOf(address: ListenAddress | undefined): string | undefined {
  return address?.kind === 'tcp' ? address.host : undefined
}

function checkListeners(document: ConfigurationDocument): readonly Found[] {
  const found: Found[] = []
  const { address, tls, trusted_proxies } = document.listen
  if (tls === 'off' && !isLocal(address) && trusted_proxies === undefined)
    found.push({
      path: ['listen', 'tls'],
      message:
        'without TLS, proofs cross the network in the clear: listen on loopback or a unix socket, or name trusted_proxies',
    })
  if (document.admin.listen.kind !== 'unix')
    found.push({
      path: ['admin', 'listen'],
      message: 'the admin API is served on a unix socket only: expected unix:PATH',
    })
  return found
}

function checkIssuer(document: ConfigurationDocument): readonly Found[] {
  if (new URL(document.issuer).port === '') return []
  const message = 'the issuer has a port: AWS and Google refuse such an issuer'
  return [{ path: ['issuer'], message, severity: 'warning' }]
}

function checkAuthenticators(document: ConfigurationDocument): readonly Found[] {
  const found: Found[] = []
  const domains = new Set<string>()
  for (const [name, config] of Object.entries(document.authenticators)) {
    const path = ['authenticators', name]
    if (config.type === 'spiffe') {
      if (domains.has(config.trust_domain))
        found.push({ path: [...path, 'trust_domain'], message: 'two authenticators take SVIDs of this trust domain' })
      domains.add(config.trust_domain)
      if (config.trust_domain !== document.trust_domain)
        found.push({
          path: [...path, 'trust_domain'],
          message: `there is no bundle for ${config.trust_domain}: only SVIDs of ${document.trust_domain} can be verified`,
        })
    }
    if (config.type !== 'oidc' && config.type !== 'kubernetes') continue
    if (sameIssuer(config.issuer, document.issuer))
      found.push({
        path: [...path, 'issuer'],
        message:
          'this is our own issuer: a token of ours must not give another one (authenticator type spiffe takes our SVIDs)',
      })
    if (config.jwks_uri !== undefined && config.jwks_file !== undefined)
      found.push({ path, message: 'keys come from jwks_uri or from jwks_file, not from both' })
  }
  return found
}

const sameIssuer = (a: string, b: string) => a.replace(/\/$/, '') === b.replace(/\/$/, '')

function checkAuthorities(document: ConfigurationDocument, x509TtlSeconds: number): readonly Found[] {
  const { jwt } = document.authorities
  const found: Found[] = []
  const shortest = 180
  if (x509TtlSeconds < shortest) found.push({ path: ['authorities', 'x509', 'ttl'], message: `at least ${shortest}s` })
  if (jwt.ttl < shortest) found.push({ path: ['authorities', 'jwt', 'ttl'], message: `at least ${shortest}s` })
  if (new Set(jwt.algorithms).size !== jwt.algorithms.length)
    found.push({ path: ['authorities', 'jwt', 'algorithms'], message: 'an algorithm is listed twice' })
  if (jwt.rs256_audiences.length > 0 && !jwt.algorithms.includes('RS256'))
    found.push({
      path: ['authorities', 'jwt', 'algorithms'],
      message: `RS256 is not listed, but rs256_audiences (${jwt.rs256_audiences.join(', ')}) takes nothing else: list it, or set rs256_audiences: []`,
    })
  for (const [index, rule] of document.identities.entries()) {
    found.push(...checkTtl(['identities', index, 'x509_ttl'], rule.x509_ttl, x509TtlSeconds, 'authorities.x509.ttl'))
    found.push(...checkTtl(['identities', index, 'jwt_ttl'], rule.jwt_ttl, jwt.ttl, 'authorities.jwt.ttl'))
  }
  return found
}

/** An authority signs for a third of its life and stays published for another: longer SVIDs would outlive it. */
function checkTtl(path: Path, ttlSeconds: number, authorityTtlSeconds: number, key: string): readonly Found[] {
  const most = slotSeconds(authorityTtlSeconds)
  if (ttlSeconds <= most) return []
  return [
    {
      path: path as Problem['path'],
      message: `at most a third of ${key}, which is ${most}s: shorten this or lengthen that`,
    },
  ]
}

function toPlain(yaml: ReturnType<typeof parseDocument>): unknown {
  return yaml.toJS({ maxAliasCount: 100 }) ?? {}
}

interface Issue {
  readonly code?: string
  readonly path: Path
  readonly message: string
  readonly keys?: readonly string[]
}

/** One problem for each unknown key; the schema library reports them together. */
function describeIssue(issue: Issue): readonly Problem[] {
  const path = issue.path as Problem['path']
  if (issue.code === 'unrecognized_keys')
    return (issue.keys ?? []).map((key) => ({ path: [...path, key], message: 'unknown key' }))
  return [{ path, message: lowerFirst(issue.message.replace(/^Invalid input: /, '')) }]
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1)
const firstLine = (text: string) => lowerFirst(text.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? '')

/** Finds the place of a path, or of the nearest thing above it that is there: a missing key has no place of its own. */
function createLocator(root: Node | null, lines: LineCounter) {
  return (problem: Found): Diagnostic => {
    let node: unknown = root
    let at = startOf(root) ?? 0
    for (const [depth, step] of problem.path.entries()) {
      const pair = isMap(node)
        ? (node.items as Pair[]).find((item) => isScalar(item.key) && item.key.value === step)
        : undefined
      const child = pair
        ? pair.value
        : (node as { get?: (key: unknown, keep: boolean) => unknown } | null)?.get?.(step, true)
      const last = depth === problem.path.length - 1
      const place = startOf(last && pair && problem.message === 'unknown key' ? pair.key : (child ?? pair?.key))
      if (place === undefined) break
      at = place
      node = child
    }
    return {
      severity: problem.severity ?? 'error',
      ...position(lines, at + offsetIn(node, problem.offset)),
      path: formatPath(problem.path),
      message: problem.message,
    }
  }
}

/** Within a plain scalar on one line the offset of an expression's error is exact; elsewhere the scalar's start is. */
function offsetIn(node: unknown, offset: number | undefined): number {
  if (offset === undefined || !isScalar(node) || node.type !== 'PLAIN' || node.range == null) return 0
  const oneLine = String(node.value).length === node.range[1] - node.range[0]
  return oneLine ? offset : 0
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null)?.range?.[0]
}

function position(lines: LineCounter, offset: number): { readonly line: number; readonly column: number } {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    return text === '' ? String(step) : `${text}.${String(step)}`
  }, '')
}

function sorted(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  return [...diagnostics].sort((a, b) => a.line - b.line || a.column - b.column)
}
