/**
 * What can be known of an attribute's values before any proof is seen, so that a condition that can never hold is found
 * when the document is read. Only what is certain is listed: a false alarm is worse than a miss.
 *
 * @module
 */
import { isPathSegment, parseSpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
import { parseAddress } from './address-range.ts'
import type { AuthenticatorType } from './authenticate.ts'

/** Why the attribute can not be the text, or begin with it; `undefined` where it can. */
export type ValueJudge = (text: string, kind: 'equals' | 'starts') => string | undefined

/** By attribute, such as `proof.namespace`. */
export type AttributeValues = ReadonlyMap<string, ValueJudge>

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

/** What `proof` can hold. `trustDomain` is that of a `spiffe` authenticator. */
export function proofValues(type: AuthenticatorType, trustDomain?: TrustDomain): AttributeValues {
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
}

/** What `identity` can hold. */
export function identityValues({ authenticators, rules }: KnownNames): AttributeValues {
  const values = new Map(spiffeValues('identity', undefined))
  if (authenticators) values.set('identity.authenticator', oneOf(authenticators, 'authenticators'))
  if (rules) values.set('identity.rule', oneOf(rules, 'rules'))
  return values
}

function spiffeValues(variable: string, trustDomain: TrustDomain | undefined): [string, ValueJudge][] {
  return [
    [`${variable}.spiffe_id`, spiffeIdOf(trustDomain)],
    [`${variable}.trust_domain`, trustDomainOf(trustDomain)],
    [`${variable}.path`, judgePath],
  ]
}

function byPattern(whole: RegExp, start: RegExp, why: string): ValueJudge {
  return (text, kind) => ((kind === 'equals' ? whole : start).test(text) ? undefined : why)
}

function oneOf(names: readonly string[], noun: string): ValueJudge {
  return (text, kind) => {
    const found = names.some((name) => (kind === 'equals' ? name === text : name.startsWith(text)))
    return found ? undefined : `the ${noun} are ${names.join(', ')}`
  }
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
