/**
 * `apostille identities`
 *
 * @module
 */
import type { Command } from 'commander'
import { act, examples, type WorkloadOptions, withProof } from '../options.ts'
import { formatSeconds, formatTable } from '../output.ts'
import { openServerWithProof, readJsonAnswer } from '../server-call.ts'

interface IdentitiesDocument {
  readonly items: readonly {
    readonly spiffe_id: string
    readonly hint?: string
    readonly audiences: readonly string[]
    readonly dns_names: readonly string[]
    readonly x509_ttl_seconds?: number
    readonly jwt_ttl_seconds?: number
  }[]
  readonly next: string | null
}

export function define(command: Command): void {
  command.description('Show which SPIFFE IDs a proof has. The first is the default. No use of a join token is spent.')
  examples(withProof(command), 'identities --server https://id.example.org --token-file /var/run/token')
  act<WorkloadOptions>(command, async (output, options) => {
    const call = await openServerWithProof(options)
    const identities = readJsonAnswer<IdentitiesDocument>(await call({ method: 'GET', path: '/v1/identities' }))
    output.result(identities, () => formatIdentities(identities))
  })
}

function formatIdentities({ items }: IdentitiesDocument): string {
  if (items.length === 0) return 'No rule gives this proof an identity.'
  const rows = items.map((item) => [
    item.spiffe_id,
    formatTtl(item.x509_ttl_seconds),
    formatTtl(item.jwt_ttl_seconds),
    item.audiences.join(' ') || '-',
    item.dns_names.join(' ') || '-',
    item.hint ?? '-',
  ])
  return formatTable(['SPIFFE ID', 'X.509 TTL', 'JWT TTL', 'AUDIENCES', 'DNS NAMES', 'HINT'], rows)
}

function formatTtl(seconds: number | undefined): string {
  return seconds === undefined ? '-' : formatSeconds(seconds)
}
