/**
 * The cluster that an example's workloads run in: a real API server where the environment names one, the stand-in else.
 *
 * - `EXAMPLE_CLUSTER_ISSUER`: issuer of the service account tokens; its discovery answers strangers
 * - `EXAMPLE_CLUSTER_CA_FILE`: PEM, the authorities that its TLS certificate comes from
 * - `EXAMPLE_TOKEN_DIR`: holds `<service account>.token` for each workload, made for the audience `apostille`
 *
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ServiceAccount, startClusterStandIn } from './cluster-stand-in.ts'

export interface Cluster {
  readonly issuer: string
  readonly caFile: string
  /** Where the workload of a service account finds its token. */
  readonly tokenFile: (serviceAccount: string) => string
  readonly isStandIn: boolean
  readonly close: () => void
}

/** What the tokens of the examples are for; `audience` of the authenticator in each `apostille.yaml`. */
export const tokenAudience = 'apostille'

/** @param folder Where the stand-in's tokens and certificate are put. */
export async function openCluster(folder: string, accounts: readonly ServiceAccount[]): Promise<Cluster> {
  const { EXAMPLE_CLUSTER_ISSUER: issuer, EXAMPLE_CLUSTER_CA_FILE: caFile, EXAMPLE_TOKEN_DIR: tokens } = process.env
  if (!issuer && !caFile && !tokens) return openStandIn(folder, accounts)
  if (!issuer || !caFile || !tokens)
    throw new Error(
      'set EXAMPLE_CLUSTER_ISSUER, EXAMPLE_CLUSTER_CA_FILE and EXAMPLE_TOKEN_DIR together, or none of them',
    )
  return {
    issuer,
    caFile,
    tokenFile: (serviceAccount) => join(tokens, `${serviceAccount}.token`),
    isStandIn: false,
    close: () => undefined,
  }
}

async function openStandIn(folder: string, accounts: readonly ServiceAccount[]): Promise<Cluster> {
  const standIn = await startClusterStandIn()
  const tokenFile = (serviceAccount: string) => join(folder, 'tokens', `${serviceAccount}.token`)
  const caFile = join(folder, 'cluster-ca.pem')
  await writeFile(caFile, standIn.ca)
  await mkdir(join(folder, 'tokens'), { mode: 0o700 })
  for (const account of accounts)
    await writeFile(tokenFile(account.name), standIn.mintToken(account, tokenAudience), { mode: 0o600 })
  return { issuer: standIn.issuer, caFile, tokenFile, isStandIn: true, close: standIn.close }
}
