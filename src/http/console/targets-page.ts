/**
 * What identities can be exchanged for.
 *
 * @module
 */
import type { Target, TargetSet } from '../../core/target.ts'
import { code, type Markup, table } from './layout.ts'

export function targetsPage(targets: TargetSet): Markup {
  return table('Targets', columns, [...targets.values()], 'The configuration has none.')
}

const columns = [
  { title: 'Target', cell: ({ name }: Target) => name },
  { title: 'Cloud', cell: ({ type }: Target) => type },
  { title: 'Role or identity', cell: ({ document }: Target) => code(subjectOf(document)) },
  { title: 'Audience', cell: ({ audience }: Target) => code(audience) },
  { title: 'Acts as', cell: ({ actsAs }: Target) => (actsAs ? code(actsAs.uri) : 'its caller') },
]

function subjectOf(document: Target['document']): string {
  if (document.type === 'aws') return document.role_arn
  return document.type === 'azure' ? document.client_id : (document.service_account ?? document.provider)
}
