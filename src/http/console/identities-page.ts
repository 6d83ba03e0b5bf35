/**
 * What proofs are taken, which identities they come to, and what policies say.
 *
 * @module
 */
import { html } from 'hono/html'
import type { Configuration } from '../../core/config.ts'
import type { CompiledRule } from '../../core/identity-rule.ts'
import type { Policy } from '../../core/policy.ts'
import { code, codes, durationOf, type Markup, table } from './layout.ts'

/** More than that is for a search in the document. */
const maxRows = 500

export function identitiesPage({ authenticators, rules, policies }: Configuration): Markup {
  const all = [...rules.byDigest.values()]
  return html`${table('Authenticators', authenticatorColumns, [...authenticators.values()], 'There is none: nothing is a proof.')}
${table('Identity rules', ruleColumns, all.slice(0, maxRows), 'There is none: nobody has an identity.')}
${rest(all.length)}
${table('Policies', policyColumns, policies.all.slice(0, maxRows), 'There is none: identities have their own SVIDs and nothing else.')}
${rest(policies.all.length)}`
}

function rest(count: number): Markup | string {
  return count > maxRows
    ? html`<p class="nothing">And ${count - maxRows} more, which the configuration document has.</p>`
    : ''
}

type Authenticator = Configuration['authenticators'] extends ReadonlyMap<string, infer Value> ? Value : never

const authenticatorColumns = [
  { title: 'Name', cell: ({ name }: Authenticator) => name },
  { title: 'Type', cell: ({ type }: Authenticator) => type },
  { title: 'Of', cell: ofWhom },
]

function ofWhom(authenticator: Authenticator): Markup | string {
  if ('issuer' in authenticator && typeof authenticator.issuer === 'string') return code(authenticator.issuer)
  return 'trust_domain' in authenticator ? code(authenticator.trust_domain) : ''
}

const ruleColumns = [
  { title: 'Rule', cell: ({ name }: CompiledRule) => name },
  { title: 'From', cell: ({ from }: CompiledRule) => from },
  { title: 'When', cell: ({ when }: CompiledRule) => (when ? code(when.text) : 'always') },
  { title: 'SPIFFE ID', cell: ({ spiffePath }: CompiledRule) => code(spiffePath.text) },
  { title: 'Audiences', cell: ({ audiences }: CompiledRule) => codes(audiences) },
  { title: 'X.509', cell: ({ x509TtlSeconds }: CompiledRule) => durationOf(x509TtlSeconds), numeric: true },
  { title: 'JWT', cell: ({ jwtTtlSeconds }: CompiledRule) => durationOf(jwtTtlSeconds), numeric: true },
]

const policyColumns = [
  { title: 'Policy', cell: ({ name }: Policy) => name },
  { title: 'Effect', cell: ({ effect }: Policy) => effect },
  { title: 'Operations', cell: ({ operations }: Policy) => operations.join(', ') },
  { title: 'To', cell: ({ to }: Policy) => (to ? to.join(', ') : '') },
  { title: 'When', cell: ({ when }: Policy) => (when ? code(when.text) : 'always') },
  { title: 'Reason', cell: ({ reason }: Policy) => reason ?? '' },
]
