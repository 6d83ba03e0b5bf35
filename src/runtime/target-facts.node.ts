/**
 * What a configuration says of a target that is no secret: what an SDK needs to know that exchanges by itself.
 *
 * @module
 */
import { ConfigurationError } from '../core/config.ts'
import {
  type AzureTargetDocument,
  audienceOf,
  type GcpTargetDocument,
  lifetimeSecondsOf,
} from '../core/config-targets.ts'
import { loadConfiguration } from './configuration.node.ts'
import { DocumentError } from './document-error.ts'

export type { TargetType } from '../core/config-targets.ts'
export type TargetFacts = { readonly type: 'aws' } | AzureFacts | GoogleFacts

export interface AzureFacts {
  readonly type: 'azure'
  readonly tenant: string
  readonly clientId: string
  readonly authorityHost: string
  /** Of the token. */
  readonly audience: string
}

export interface GoogleFacts {
  readonly type: 'gcp'
  /** `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER` */
  readonly provider: string
  readonly universe: string
  readonly tokenUrl?: string
  readonly impersonationUrl?: string
  readonly serviceAccount?: string
  readonly lifetimeSeconds?: number
  /** Of the token. */
  readonly audience: string
}

/** Why the facts are not to be had: the document can not be read, is refused, or has no such target. */
export type FactsProblem = { readonly problem: string; readonly targets?: readonly string[] }

export async function readTargetFacts(configFile: string, target: string): Promise<TargetFacts | FactsProblem> {
  try {
    const { targets } = await loadConfiguration(configFile)
    const document = targets.get(target)?.document
    if (document === undefined)
      return { problem: `${configFile} has no target '${target}'`, targets: [...targets.keys()] }
    if (document.type === 'aws') return { type: 'aws' }
    return document.type === 'azure' ? azureFacts(document) : googleFacts(document)
  } catch (error) {
    if (error instanceof DocumentError) return { problem: error.message }
    if (error instanceof ConfigurationError) return { problem: `${configFile} has mistakes, which check shows` }
    throw error
  }
}

function azureFacts(document: AzureTargetDocument): AzureFacts {
  const { tenant, client_id: clientId, authority_host: authorityHost } = document
  return { type: 'azure', tenant, clientId, authorityHost, audience: audienceOf(document) }
}

function googleFacts(document: GcpTargetDocument): GoogleFacts {
  const { provider, universe, token_url: tokenUrl, impersonation_url: impersonationUrl } = document
  const { service_account: serviceAccount } = document
  return {
    type: 'gcp',
    provider,
    universe,
    audience: audienceOf(document),
    ...(tokenUrl !== undefined && { tokenUrl }),
    ...(impersonationUrl !== undefined && { impersonationUrl }),
    ...(serviceAccount !== undefined && { serviceAccount, lifetimeSeconds: lifetimeSecondsOf(document) }),
  }
}
