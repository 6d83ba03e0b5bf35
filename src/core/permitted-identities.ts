/**
 * Which identities the configuration names for a target: its syncs, and whom policies name, as far as their conditions say
 * so by literals.
 *
 * @module
 */

import { ProtocolError } from '../protocol/errors.ts'
import { buildSpiffeId, parseSpiffeId, type SpiffeId } from '../protocol/spiffe-id.ts'
import { type ConditionKey, conditionsOf } from './condition-index.ts'
import type { Configuration } from './config.ts'
import type { Policy } from './policy.ts'
import type { Target } from './target.ts'
import { isLiteral } from './template.ts'

export interface PermittedIdentities {
  /**
   * Syncs that go there, which no policy is asked about, and those that permits name one by one; of other trust domains
   * only where the target says whom it acts as.
   */
  readonly named: readonly SpiffeId[]
  /** Permits whose conditions leave open for whom they are. */
  readonly open: readonly string[]
  /** A `forbid` that always holds. */
  readonly forbiddenBy?: string
}

type Named = Pick<Target, 'name' | 'type' | 'actsAs'>
type Known = Pick<Configuration, 'policies' | 'rules' | 'syncs' | 'trustDomain'>

/** Conditions beside those that name identities are passed over: somebody named may still be refused for them. */
export function permittedIdentities(known: Known, target: Named): PermittedIdentities {
  const applying = known.policies.all.filter((policy) => appliesTo(policy, target))
  const permits = applying
    .filter(({ effect }) => effect === 'permit')
    .map((policy) => ({ name: policy.name, identities: namedBy(policy, known, target.actsAs !== undefined) }))
  const all = [...syncsOf(known, target), ...permits.flatMap(({ identities = [] }) => identities)]
  const named = new Map(all.map((id) => [id.uri, id]))
  const forbiddenBy = applying.find(({ effect, when }) => effect === 'forbid' && when === undefined)?.name
  return {
    named: [...named.values()],
    open: permits.filter(({ identities }) => identities === undefined).map(({ name }) => name),
    ...(forbiddenBy !== undefined && { forbiddenBy }),
  }
}

function syncsOf({ syncs }: Known, { name }: Named): readonly SpiffeId[] {
  const goThere = [...syncs.values()].filter(({ destinations }) =>
    destinations.some(({ target }) => target.name === name),
  )
  return goThere.map(({ spiffeId }) => spiffeId)
}

function appliesTo({ operations, to, when }: Policy, { name, type }: Pick<Target, 'name' | 'type'>): boolean {
  const isExchange = operations.some((operation) => operation === '*' || operation === 'exchange')
  const isThis = to === undefined || to.includes(name)
  return isExchange && isThis && conditionsOf(when?.tree, 'target').keys.every((key) => fits(key, { name, type }))
}

/** Undefined where the condition leaves open who it is. */
function namedBy({ when }: Policy, known: Known, foreign: boolean): readonly SpiffeId[] | undefined {
  const { keys } = conditionsOf(when?.tree, 'identity')
  const whole = keys.filter(({ length, path }) => length === undefined && path.length === 2)
  const valuesOf = (name: string) => whole.find(({ path }) => path[1] === name)?.values
  const candidates =
    readEach(valuesOf('spiffe_id'), parseSpiffeId) ??
    readEach(valuesOf('path'), (path) => buildSpiffeId(known.trustDomain, path)) ??
    literalsOfRules(valuesOf('rule'), known)
  return candidates?.filter(
    ({ uri, trustDomain, path }) =>
      (foreign || trustDomain === known.trustDomain) &&
      keys.every((key) => fits(key, { spiffe_id: uri, trust_domain: trustDomain, path })),
  )
}

/** Texts that are no identity name nobody. */
function readEach(texts: ReadonlySet<string> | undefined, read: (text: string) => SpiffeId) {
  return (
    texts &&
    [...texts].flatMap((text) => {
      try {
        return [read(text)]
      } catch (error) {
        if (error instanceof ProtocolError) return []
        throw error
      }
    })
  )
}

function literalsOfRules(names: ReadonlySet<string> | undefined, { rules, trustDomain }: Known) {
  if (names === undefined) return undefined
  const paths = [...rules.byDigest.values()].filter(({ name }) => names.has(name)).map(({ spiffePath }) => spiffePath)
  return paths.every(isLiteral) ? paths.map(({ text }) => buildSpiffeId(trustDomain, text)) : undefined
}

/** What is not among the attributes may be anything. */
function fits({ path, length, values }: ConditionKey, attributes: Readonly<Record<string, string>>): boolean {
  const text = path.length === 2 ? attributes[path[1] ?? ''] : undefined
  return text === undefined || values.has(length === undefined ? text : text.slice(0, length))
}
