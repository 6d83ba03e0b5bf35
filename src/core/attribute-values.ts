/**
 * What can be known of an attribute's values before any proof is seen, so that a condition that can never hold is found
 * when the document is read. Only what is certain is listed: a false alarm is worse than a miss.
 *
 * @module
 */
import type { AwsPartition } from '../protocol/presigned-identity.ts'
import { isPathSegment, parseSpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
import { parseAddress } from './address-range.ts'
import type { AuthenticatorType } from './authenticate.ts'

/** Why the attribute can not be the text, or begin with it; `undefined` where it can. */
export type ValueJudge = (text: string, kind: 'equals' | 'starts') => string | undefined

/** By attribute, such as `proof.namespace`. */
export type AttributeValues = ReadonlyMap<string, ValueJudge>

const targetTypes = ['aws', 'azure', 'gcp']

// RFC 1123 labels and subdomains, as Kubernetes checks names of objects.
const labelPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const subdomainPattern = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/
const labelStart = /^(?:[a-z0-9][a-z0-9-]{0,62})?$/
const subdomainStart = /^(?:[a-z0-9][a-z0-9.-]{0,252})?$/
const trustDomainStart = /^[a-z0-9._-]{0,255}$/

/** Whether the text is one label of a DNS name in lower case. */
export function isDnsLabel(text: string): boolean {
  return labelPattern.test(text)
}

const namespace = byPattern(labelPattern, labelStart, 'a namespace is lower-case letters, digits and dashes')
const objectName = byPattern(
  subdomainPattern,
  subdomainStart,
  'such a name is lower-case letters, digits, dashes and dots',
)

/** Whom an authenticator of type `aws` takes. */
export interface AwsScope {
  readonly partition: AwsPartition
  readonly accounts?: readonly string[] | undefined
}

/** What `proof` can hold. `trustDomain` is that of a `spiffe` authenticator, `aws` the scope of one of type `aws`. */
export function proofValues(type: AuthenticatorType, trustDomain?: TrustDomain, aws?: AwsScope): AttributeValues {
  if (type === 'aws') return awsValues(aws)
  if (type === 'kubernetes')
    return new Map([
      ['proof.namespace', namespace],
      ['proof.service_account', objectName],
      ['proof.pod', objectName],
      ['proof.node', objectName],
    ])
  return type === 'spiffe' ? new Map(spiffeValues('proof', trustDomain)) : new Map()
}

/** What `request` can hold. */
export function requestValues(operations: readonly string[]): AttributeValues {
  return new Map<string, ValueJudge>([
    ['request.operation', oneOf(operations, 'operations')],
    ['request.address', (text, kind) => (kind === 'equals' && !parseAddress(text) ? 'it is an IP address' : undefined)],
  ])
}

/** Names that a policy may refer to. What is absent is not checked. */
export interface KnownNames {
  readonly authenticators?: readonly string[]
  readonly rules?: readonly string[]
  readonly targets?: readonly string[]
}

/** What `identity` and `target` can hold. */
export function policyValues({ authenticators, rules, targets }: KnownNames): AttributeValues {
  const values = new Map(spiffeValues('identity', undefined))
  values.set('request.path', secretPath)
  values.set('target.type', oneOf(targetTypes, 'types of targets'))
  if (targets) values.set('target.name', oneOf(targets, 'targets'))
  if (authenticators) values.set('identity.authenticator', oneOf(authenticators, 'authenticators'))
  if (rules) values.set('identity.rule', oneOf(rules, 'rules'))
  return values
}

const secretPath = byPattern(
  /^(?:[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*\/?)?$/,
  /^(?:[A-Za-z0-9._-]+\/)*[A-Za-z0-9._-]*$/,
  'the path of a secret is letters, digits, dots, dashes and underscores between slashes, and starts with none',
)

const awsName = byPattern(/^[\w+=,.@-]{1,64}$/, /^[\w+=,.@-]{0,64}$/, 'such a name is letters, digits and _+=,.@-')

function awsValues(scope: AwsScope | undefined): AttributeValues {
  const { partition, accounts } = scope ?? {}
  const account = byPattern(/^\d{12}$/, /^\d{0,12}$/, 'an account is 12 digits')
  return new Map([
    ['proof.account', accounts ? oneOf(accounts, 'accounts of the authenticator') : account],
    ['proof.arn', beginningWith(partition === undefined ? 'arn:aws' : `arn:${partition}:`)],
    ['proof.user_id', byPattern(/^[A-Z0-9]+$/, /^[A-Z0-9]*$/, 'a unique ID is upper-case letters and digits')],
    ['proof.role', awsName],
    ['proof.session', awsName],
    ['proof.user', awsName],
    ...(partition === undefined ? [] : [['proof.partition', oneOf([partition], 'partitions')] as const]),
  ])
}

function spiffeValues(variable: string, trustDomain: TrustDomain | undefined): [string, ValueJudge][] {
  return [
    [`${variable}.spiffe_id`, spiffeIdOf(trustDomain)],
    [`${variable}.trust_domain`, trustDomainOf(trustDomain)],
    [`${variable}.path`, judgePath],
  ]
}

/** Equal to a text that `whole` fits, beginning with one that `start` fits. */
export function byPattern(whole: RegExp, start: RegExp, why: string): ValueJudge {
  return (text, kind) => ((kind === 'equals' ? whole : start).test(text) ? undefined : why)
}

/** One of the names. */
export function oneOf(names: readonly string[], noun: string): ValueJudge {
  return (text, kind) => {
    const found = names.some((name) => (kind === 'equals' ? name === text : name.startsWith(text)))
    if (found) return undefined
    return names.length === 0 ? `there are no ${noun}` : `the ${noun} are ${names.join(', ')}`
  }
}

/** A text of which the beginning is known. */
export function beginningWith(prefix: string): ValueJudge {
  return (text, kind) => {
    const fits = text.startsWith(prefix) || (kind === 'starts' && prefix.startsWith(text))
    return fits ? undefined : `it begins with ${prefix}`
  }
}

/** A text of one shape and length, such as a UUID: `sample` says which, and completes what a prefix leaves out. */
export function shapedAs(pattern: RegExp, sample: string, why: string): ValueJudge {
  return (text, kind) => (pattern.test(kind === 'equals' ? text : text + sample.slice(text.length)) ? undefined : why)
}

const judgePath: ValueJudge = (text, kind) => {
  if (text === '') return undefined
  if (!text.startsWith('/')) return 'a path starts with a slash'
  const segments = text.slice(1).split('/')
  const last = kind === 'starts' ? (segments.pop() ?? '') : 'x'
  const sound = segments.every(isPathSegment) && /^[A-Za-z0-9._-]*$/.test(last)
  return sound ? undefined : 'segments of a path are letters, digits, dots, dashes and underscores, and none is empty'
}

function trustDomainOf(trustDomain: TrustDomain | undefined): ValueJudge {
  if (trustDomain !== undefined)
    return (text, kind) =>
      (kind === 'equals' ? trustDomain === text : trustDomain.startsWith(text)) ? undefined : `it is ${trustDomain}`
  return byPattern(/^[a-z0-9._-]{1,255}$/, trustDomainStart, 'a trust domain is a name in lower case')
}

function spiffeIdOf(trustDomain: TrustDomain | undefined): ValueJudge {
  const base = `spiffe://${trustDomain ?? ''}`
  return (text, kind) => {
    if (kind === 'equals') {
      const found = readTrustDomain(text)
      if (found === undefined) return 'it is no SPIFFE ID'
      return trustDomain === undefined || found === trustDomain ? undefined : `the trust domain is ${trustDomain}`
    }
    if (base.startsWith(text)) return undefined
    if (!text.startsWith(base)) return `it begins with ${base}`
    return trustDomain === undefined ? undefined : judgePath(text.slice(base.length), 'starts')
  }
}

function readTrustDomain(uri: string): string | undefined {
  try {
    return parseSpiffeId(uri).trustDomain
  } catch {
    return undefined
  }
}
