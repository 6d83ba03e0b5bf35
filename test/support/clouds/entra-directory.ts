/**
 * What tenants hold: applications (or managed identities) and their federated credentials.
 *
 * @module
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CloudRefusal, firstBroken, type Rule } from './rules.ts'

/** As Microsoft Graph writes it. */
export interface FederatedCredential {
  readonly name: string
  readonly issuer: string
  readonly subject: string
  readonly audiences: readonly string[]
  readonly description?: string
}

export interface StoredCredential extends FederatedCredential {
  /** When token requests begin to see it; at once when it is absent. */
  readonly visibleAt?: Date
}

export interface EntraApp {
  /** GUID. */
  readonly tenant: string
  /** GUID. */
  readonly clientId: string
  federatedCredentials: StoredCredential[]
}

/** May be changed at any time; nothing is checked here, see {@link createDirectoryWriter}. */
export interface EntraState {
  readonly tenants: Map<string, EntraTenant>
  readonly apps: EntraApp[]
  /** Identifiers of APIs that a token may be for, without `/.default`. */
  readonly resources: Set<string>
  /** How long a new credential stays unseen; 0 by default. */
  propagationSeconds: number
}

export interface EntraTenant {
  /** Whether tokens of GitHub have to say their enterprise. */
  readonly needsEnterpriseClaim?: boolean
}

export interface DirectoryProblem {
  readonly status: number
  readonly code: string
  readonly message: string
}

interface WriteContext {
  readonly app: EntraApp
  readonly credential: FederatedCredential
  readonly isBusy: boolean
}

const considerations = 'https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations'
const graphPage = 'https://learn.microsoft.com/graph/api/resources/federatedidentitycredential'

const badRequest = (message: string): DirectoryProblem => ({ status: 400, code: 'Request_BadRequest', message })

function textRule(name: string, member: 'issuer' | 'subject'): Rule<WriteContext, DirectoryProblem> {
  return {
    name,
    source: graphPage,
    check: ({ credential }) =>
      credential[member].length >= 1 &&
      credential[member].length <= 600 &&
      credential[member].trim() === credential[member]
        ? undefined
        : badRequest(`Property ${member} is invalid.`),
  }
}

export const federatedCredentialRules: readonly Rule<WriteContext, DirectoryProblem>[] = [
  {
    name: 'credential_concurrent_write',
    source: considerations,
    check: ({ isBusy }) =>
      isBusy
        ? {
            status: 409,
            code: 'Conflict',
            message: 'Too many concurrent updates to the federated identity credentials.',
          }
        : undefined,
  },
  {
    name: 'credential_count',
    source: considerations,
    check: ({ app }) =>
      app.federatedCredentials.length >= 20
        ? badRequest('Maximum number of federated identity credentials (20) has been reached.')
        : undefined,
  },
  {
    name: 'credential_name',
    source: graphPage,
    check: ({ credential: { name } }) =>
      /^[A-Za-z0-9][\w-]{2,119}$/.test(name) ? undefined : badRequest('Property name is invalid.'),
  },
  {
    name: 'credential_name_unique',
    source: graphPage,
    check: ({ app, credential: { name } }) =>
      app.federatedCredentials.some((other) => other.name === name)
        ? {
            status: 409,
            code: 'Request_MultipleObjectsWithSameKeyValue',
            message: 'FederatedIdentityCredential with name already exists.',
          }
        : undefined,
  },
  textRule('credential_issuer', 'issuer'),
  {
    name: 'credential_issuer_url',
    source: `${graphPage} (assumed, that it is https)`,
    check: ({ credential: { issuer } }) =>
      URL.parse(issuer)?.protocol === 'https:' ? undefined : badRequest('Property issuer is no URL.'),
  },
  textRule('credential_subject', 'subject'),
  {
    name: 'credential_subject_wildcard',
    source: considerations,
    check: ({ credential: { subject } }) =>
      subject.includes('*') ? badRequest('Wildcard characters are not supported in subject.') : undefined,
  },
  {
    name: 'credential_audience_single',
    source: graphPage,
    check: ({ credential: { audiences } }) =>
      audiences.length === 1 ? undefined : badRequest('Property audiences must have exactly one value.'),
  },
  {
    name: 'credential_audience',
    source: graphPage,
    check: ({ credential: { audiences } }) =>
      audiences.every((audience) => audience.length >= 1 && audience.length <= 600)
        ? undefined
        : badRequest('Property audiences is invalid.'),
  },
  {
    name: 'credential_description',
    source: graphPage,
    check: ({ credential: { description = '' } }) =>
      description.length <= 600 ? undefined : badRequest('Property description is invalid.'),
  },
  {
    name: 'credential_unique',
    source: considerations,
    check: ({ app, credential: { issuer, subject } }) =>
      app.federatedCredentials.some((other) => other.issuer === issuer && other.subject === subject)
        ? badRequest('FederatedIdentityCredential with the same issuer and subject already exists.')
        : undefined,
  },
]

export interface DirectoryWriter {
  /**
   * Writes of one application must not overlap.
   *
   * @throws {CloudRefusal} as Microsoft Graph refuses
   */
  readonly addFederatedCredential: (clientId: string, credential: FederatedCredential) => Promise<void>
}

export function createDirectoryWriter(state: EntraState, now: () => Date): DirectoryWriter {
  const busy = new Set<string>()
  return {
    async addFederatedCredential(clientId, credential) {
      const app = state.apps.find((known) => known.clientId === clientId)
      if (!app) throw new Error(`this double has no application ${clientId}`)
      const broken = firstBroken(federatedCredentialRules, { app, credential, isBusy: busy.has(clientId) })
      if (broken) throw new CloudRefusal(broken.rule, broken.problem)
      busy.add(clientId)
      await nextTurn()
      busy.delete(clientId)
      const { propagationSeconds } = state
      const visibleAt = new Date(now().getTime() + propagationSeconds * 1000)
      app.federatedCredentials.push(propagationSeconds > 0 ? { ...credential, visibleAt } : credential)
    },
  }
}
