/**
 * The table of clouds. A cloud's library is loaded at the first exchange there: who has no target of it pays nothing.
 *
 * @module
 */
import type { ExchangeAtCloud } from '../../core/cloud.ts'
import type { TargetType } from '../../core/config-targets.ts'
import type { ConnectUpstream } from '../http-client.ts'
import { type CloudClients, createCloudClients } from './wire.ts'

export interface ExchangerDeps {
  readonly connect: ConnectUpstream
  readonly now: () => Date
}

/** What each cloud is given. */
export interface CloudDeps {
  readonly clients: CloudClients
  readonly now: () => Date
}

/** Ends the connections that it keeps when it is closed. */
export type ClosableExchange = ExchangeAtCloud & { readonly close: () => Promise<void> }

type CreateExchange = (deps: CloudDeps) => ExchangeAtCloud

const clouds: Readonly<Record<TargetType, () => Promise<CreateExchange>>> = {
  aws: async () => (await import('./aws.ts')).createAwsExchange,
  azure: async () => (await import('./azure.ts')).createAzureExchange,
  gcp: async () => (await import('./gcp.ts')).createGcpExchange,
}

export function createExchangeAtCloud({ connect, now }: ExchangerDeps): ClosableExchange {
  const deps: CloudDeps = { clients: createCloudClients(connect), now }
  const loaded = new Map<TargetType, ExchangeAtCloud>()

  async function load(type: TargetType): Promise<ExchangeAtCloud> {
    const exchange = loaded.get(type) ?? (await clouds[type]())(deps)
    loaded.set(type, exchange)
    return exchange
  }

  const exchange: ExchangeAtCloud = async (wanted) => {
    const at = loaded.get(wanted.target.type) ?? (await load(wanted.target.type))
    return at(wanted)
  }
  return Object.assign(exchange, { close: deps.clients.close })
}
