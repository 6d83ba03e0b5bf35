/**
 * The first page: whether all is well, and what there is.
 *
 * @module
 */
import { html } from 'hono/html'
import type { Authority } from '../../core/authority-plan.ts'
import type { Configuration } from '../../core/config.ts'
import type { PeerStatus } from '../../core/federation.ts'
import { code, distanceOf, facts, type Markup, status, table } from './layout.ts'

export interface Overview {
  readonly config: Configuration
  readonly configurationRefused: boolean
  /** What keeps the gateway from issuing; absent when nothing does. */
  readonly problem?: string
  readonly authorities: readonly Authority[]
  readonly peers: readonly PeerStatus[]
  readonly now: Date
}

interface Finding {
  readonly kind: 'warning' | 'bad'
  readonly what: string
  readonly remedy: Markup | string
}

export function overviewPage(overview: Overview): Markup {
  const { config, problem, configurationRefused, authorities, peers, now } = overview
  const ends = authorities.flatMap(({ state, activeUntil }) => (state === 'active' && activeUntil ? [activeUntil] : []))
  const next = ends.sort((a, b) => a.getTime() - b.getTime())[0]
  return html`${facts([
    ['Health', problem === undefined ? status('good', 'ready') : status('bad', 'not ready')],
    [
      'Configuration',
      configurationRefused ? status('warning', 'a changed document was refused') : status('good', 'current'),
    ],
    ['Document', code(config.digest.slice(0, 12))],
    ['Issuer', code(config.issuer)],
    ['Trust domain', code(config.trustDomain)],
    ['Authenticators', config.authenticators.size],
    ['Identity rules', config.rules.byDigest.size],
    ['Policies', config.policies.all.length],
    ['Targets', config.targets.size],
    ['Signing authorities', authorities.filter(({ state }) => state === 'active').length],
    ['Next change of a key', next ? distanceOf(next, now) : 'none planned'],
    ['Federated trust domains', peers.length],
  ])}
${table('What needs attention', columns, findingsOf(overview), 'Nothing.')}`
}

const columns = [
  { title: 'What', cell: ({ kind, what }: Finding) => status(kind, what) },
  { title: 'Why, and what to do', cell: ({ remedy }: Finding) => remedy },
]

function findingsOf({ problem, configurationRefused, config, authorities, peers }: Overview): readonly Finding[] {
  const tainted = authorities.filter(({ taintedAt }) => taintedAt !== undefined)
  return [
    ...(problem === undefined ? [] : [{ kind: 'bad' as const, what: 'nothing is issued', remedy: problem }]),
    ...(configurationRefused
      ? [
          {
            kind: 'warning' as const,
            what: 'the document on disk is refused',
            remedy: html`<code>apostille check</code> shows why; the one before it serves on`,
          },
        ]
      : []),
    ...tainted.map(({ ring }) => ({
      kind: 'warning' as const,
      what: `a tainted authority of ${ring} is published`,
      remedy: html`<code>apostille authority revoke</code> takes it out, once its workloads have renewed`,
    })),
    ...peers.flatMap(peerFinding),
    ...config.warnings.map(({ message, line }) => ({
      kind: 'warning' as const,
      what: `line ${line} of the configuration`,
      remedy: message,
    })),
  ]
}

function peerFinding({ trustDomain, state }: PeerStatus): readonly Finding[] {
  const held = state?.bundle !== undefined
  if (held && (state.failures === 0 || state.problem === undefined)) return []
  const what = held ? `the bundle of ${trustDomain} is not kept fresh` : `there is no bundle of ${trustDomain}`
  const remedy = html`${state?.problem ?? ''} <code>apostille federation show ${trustDomain}</code>`
  return [{ kind: held ? 'warning' : 'bad', what, remedy }]
}
