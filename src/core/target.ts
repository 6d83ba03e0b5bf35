/**
 * Targets: what an identity can be exchanged for, and what of the identity the exchange carries.
 *
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html AWS: session tags}
 * @module
 */
import { createHash } from 'node:crypto'
import { ProtocolError } from '../protocol/errors.ts'
import { buildSpiffeId, parseSpiffeId, type SpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
import type { KnownNames } from './attribute-values.ts'
import { type AwsTargetDocument, audienceOf, type TargetDocument, type TargetType } from './config-targets.ts'
import {
  type ExpressionEnvironment,
  ExpressionError,
  ExpressionSyntaxError,
  type Problem,
  policyEnvironment,
  type Variables,
} from './expression.ts'
import { isReservedPath, reservedPaths } from './spiffe-path.ts'
import { compileTemplate, evaluateTemplate, isLiteral, type Template } from './template.ts'

export interface Target {
  readonly name: string
  readonly type: TargetType
  readonly document: TargetDocument
  /** SHA-256 of its part of the configuration: what was had for another one is not handed out. */
  readonly digest: string
  /** The only audience of its tokens. */
  readonly audience: string
  /** Absent: it acts as its caller. */
  readonly actsAs?: SpiffeId
  readonly sessionName?: Template
  readonly tags: readonly (readonly [string, Template])[]
  /**
   * What an exchange says of the identity.
   *
   * @param variables `identity` of the caller, `target`, `request`
   * @throws {ExpressionError} where a template comes to nothing that its field takes
   */
  readonly sessionOf: (acting: SpiffeId, variables: Variables) => Session
}

export type TargetSet = ReadonlyMap<string, Target>

/** What an exchange carries of the identity, besides `sub`. */
export interface Session {
  /** The same for the same target, identity and session: what was had for one is good for the other. */
  readonly key: string
  /** AWS only. */
  readonly name?: string
  /** Of the token. */
  readonly claims: Readonly<Record<string, unknown>>
}

export interface TargetContext extends KnownNames {
  /** Absent where it can not be read. */
  readonly trustDomain?: TrustDomain | undefined
}

/** Targets without problems, and every problem of the others. */
export function compileTargets(documents: ReadonlyMap<string, TargetDocument>, context: TargetContext) {
  const environment = policyEnvironment(context)
  const problems: Problem[] = []
  const targets = new Map<string, Target>()
  for (const [name, document] of documents) {
    const found: Problem[] = []
    targets.set(name, compileTarget({ name, document, environment, trustDomain: context.trustDomain, found }))
    for (const problem of found) problems.push(problem)
  }
  return { targets: targets as TargetSet, problems: problems as readonly Problem[] }
}

interface TargetInput {
  readonly name: string
  readonly document: TargetDocument
  readonly environment: ExpressionEnvironment
  readonly trustDomain: TrustDomain | undefined
  /** Where problems go. */
  readonly found: Problem[]
}

function compileTarget(input: TargetInput): Target {
  const { name, document, trustDomain, found } = input
  const actsAs =
    document.acts_as === undefined || trustDomain === undefined
      ? undefined
      : readActsAs(document.acts_as, trustDomain, (message) =>
          found.push({ path: ['targets', name, 'acts_as'], message }),
        )
  const common = {
    name,
    type: document.type,
    document,
    digest: createHash('sha256')
      .update(JSON.stringify([name, document]))
      .digest('hex'),
    audience: audienceOf(document),
    ...(actsAs && { actsAs }),
  }
  const templates = document.type === 'aws' ? compileAwsTemplates(document, input) : { tags: [] }
  const target = { ...common, ...templates }
  return { ...target, sessionOf: createSessionBuilder(target) }
}

function readActsAs(text: string, trustDomain: TrustDomain, report: (message: string) => void): SpiffeId | undefined {
  try {
    const spiffeId = text.startsWith('/') ? buildSpiffeId(trustDomain, text) : parseSpiffeId(text)
    if (spiffeId.trustDomain !== trustDomain)
      report(`expected an ID of our own trust domain, as it is we who sign the token: ${trustDomain}`)
    if (spiffeId.path === '') report('expected a path: the trust domain itself is no workload')
    if (isReservedPath(spiffeId.path))
      report(`reserved: ${reservedPaths.join(', ')} and all below them are not for workloads`)
    return spiffeId
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    report('expected a path such as /cloud/payments, or a SPIFFE ID of our own trust domain')
    return undefined
  }
}

function compileAwsTemplates(document: AwsTargetDocument, { name, environment, found }: TargetInput) {
  const at = ['targets', name]
  const compile = (key: readonly string[], text: string, field: Field): Template | undefined => {
    try {
      const template = compileTemplate(text, environment)
      if (isLiteral(template) && !field.pattern.test(text))
        found.push({ path: [...at, ...key], message: `expected ${field.expected}` })
      return template
    } catch (error) {
      if (!(error instanceof ExpressionSyntaxError)) throw error
      found.push({ path: [...at, ...key], message: error.message, offset: error.offset })
      return undefined
    }
  }
  const sessionName =
    document.session_name === undefined ? undefined : compile(['session_name'], document.session_name, sessionNameField)
  const tags = Object.entries(document.tags).flatMap(([tag, text]) => {
    const compiled = compile(['tags', tag], text, tagValueField)
    return compiled ? [[tag, compiled] as const] : []
  })
  return { tags, ...(sessionName && { sessionName }) }
}

/** What AWS takes there. */
interface Field {
  readonly pattern: RegExp
  readonly expected: string
}

// RoleSessionName (STS API, AssumeRoleWithWebIdentity).
const sessionNameField: Field = {
  pattern: /^[\w+=,.@-]{2,64}$/,
  expected: '2 to 64 letters, digits and _+=,.@-',
}
const tagValueField: Field = {
  pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u,
  expected: 'at most 256 letters, digits, spaces and _.:/=+-@',
}

type Described = Omit<Target, 'sessionOf'>

/** Where no template reads more, an identity's session is remembered as long as somebody else holds the identity. */
function createSessionBuilder(target: Described): Target['sessionOf'] {
  const build: Target['sessionOf'] = (acting, variables) => {
    const said = describeSession(target, acting, variables)
    return { ...said, key: JSON.stringify([target.digest, acting.uri, said]) }
  }
  if (target.sessionName !== undefined || target.tags.length > 0) return build
  const remembered = new WeakMap<SpiffeId, Session>()
  return (acting, variables) => {
    const known = remembered.get(acting)
    if (known) return known
    const session = build(acting, variables)
    remembered.set(acting, session)
    return session
  }
}

function describeSession(target: Described, acting: SpiffeId, variables: Variables): Omit<Session, 'key'> {
  const { document } = target
  if (document.type !== 'aws') return { claims: {} }
  const name = target.sessionName
    ? fill(target.sessionName, variables, 'session_name', sessionNameField)
    : shortName(acting)
  const tags = target.tags.map(([tag, template]) => [tag, [fill(template, variables, `tag ${tag}`, tagValueField)]])
  const claims = {
    ...(tags.length > 0 && {
      'https://aws.amazon.com/tags': {
        principal_tags: Object.fromEntries(tags),
        ...(document.transitive_tags.length > 0 && { transitive_tag_keys: document.transitive_tags }),
      },
    }),
    ...(document.source_identity && { 'https://aws.amazon.com/source_identity': shortName(acting) }),
  }
  return { name, claims }
}

function fill(template: Template, variables: Variables, field: string, { pattern }: Field): string {
  const value = evaluateTemplate(template, variables)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (!pattern.test(text)) throw new ExpressionError('not_a_value', `${field} comes to what the field does not take`)
  return text
}

const digestLength = 8
const maxNameLength = 64

/**
 * A SPIFFE ID in the alphabet of a session's name: the end of its path with dots for slashes, and the first 8 digits of
 * the SHA-256 of the whole, as two IDs may end alike.
 */
export function shortName({ uri, path }: SpiffeId): string {
  const digest = createHash('sha256').update(uri).digest('hex').slice(0, digestLength)
  const room = maxNameLength - digestLength - 1
  const end = path.slice(1).replaceAll('/', '.').slice(-room).replace(/^\./, '')
  return end === '' ? digest : `${end}-${digest}`
}
