/**
 * The admin API on Workers, loaded with the first that an operator asks.
 *
 * @module
 */
import type { Authorities } from '../core/authorities.ts'
import type { Configuration } from '../core/config.ts'
import { createExplainer } from '../core/explainer.ts'
import type { Federation } from '../core/federation.ts'
import type { Gateway } from '../core/gateway.ts'
import { createOperator, type OperatorDeps } from '../core/operator.ts'
import type { Records } from '../core/records.ts'
import type { Store } from '../core/store.ts'
import type { Syncs } from '../core/syncs.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { createAdminApp, type ReloadOutcome } from '../http/admin-app.ts'
import { describeGateway } from './gateway-status.ts'
import { createWorkerSeal, workerBackups } from './worker-limits.ts'

export interface AdministrationDeps extends OperatorDeps {
  readonly config: Configuration
  readonly store: Store
  readonly gateway: Gateway
  readonly authorities: Authorities
  readonly federation: Federation
  readonly records: Records
  readonly syncs: Syncs
  readonly sealKey: Uint8Array
  readonly telemetry: Telemetry
  readonly newRequestId: () => string
}

export function createAdministration(deps: AdministrationDeps): (request: Request) => Promise<Response> {
  const seal = createWorkerSeal(deps.sealKey)
  const app = createAdminApp({
    ...deps,
    operator: createOperator(deps),
    explainer: createExplainer(deps),
    seal,
    backups: workerBackups,
    reload: async () => notReloaded(deps.config),
    metrics: async () => ({ contentType: 'text/plain', body: '# Workers have the metrics of their platform\n' }),
    status: () => describeGateway({ ...deps, seal }),
  })
  return async (request) => app.fetch(request)
}

function notReloaded({ digest }: Configuration): ReloadOutcome {
  const message = 'a Worker takes its configuration with its deployment: deploy it again'
  return { applied: false, digest, problems: [{ message }] }
}
