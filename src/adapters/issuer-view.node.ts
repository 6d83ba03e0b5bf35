/**
 * An issuer as a stranger on the internet sees it: its addresses, and its documents over TLS that public authorities vouch
 * for.
 *
 * @module
 */
import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import tls from 'node:tls'
import { createHttpClient, type HttpClient } from './http-client.ts'
import { createHttpsFetch } from './https-fetch.node.ts'

export interface IssuerView {
  /** Every address of the name, or the address itself. Rejects as `node:dns` does. */
  readonly resolve: (host: string) => Promise<readonly string[]>
  /** Gives up after 5 seconds, as AWS does. */
  readonly client: HttpClient
}

/** @param caFile PEM; trusted instead of the public authorities. */
export async function createIssuerView(caFile?: string): Promise<IssuerView> {
  // Said in full, so that what this machine trusts besides does not count.
  const ca = caFile === undefined ? tls.rootCertificates.join('\n') : await readFile(caFile, 'utf8')
  const fetch = createHttpsFetch({ ca, allowAddress: () => true })
  return {
    resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
    client: createHttpClient({ fetch, close: fetch.close }),
  }
}
