/**
 * The table of destinations. What one needs of a cloud's library is loaded with its first call: who has no destination of
 * that kind pays nothing.
 *
 * @module
 */
import type {
  AwsDestinationDocument,
  AzureDestinationDocument,
  DestinationDocument,
  DestinationType,
  GcpDestinationDocument,
} from '../../core/config-destinations.ts'
import type { OpenDestination, OpenedDestination, SecretDestination } from '../../core/secret-destination.ts'
import type { ConnectUpstream } from '../http-client.ts'

export interface DestinationDeps {
  readonly connect: ConnectUpstream
  readonly now: () => Date
  /** Resolves after `ms`, or rejects when nobody waits any longer. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>
}

/** A destination whose document is of its own type. */
export type OpenedAs<Document extends DestinationDocument> = OpenedDestination & { readonly document: Document }

export type CreateDestination<Document extends DestinationDocument> = (
  destination: OpenedAs<Document>,
  deps: DestinationDeps,
) => SecretDestination

interface Table {
  readonly 'aws-secrets-manager': () => Promise<CreateDestination<AwsDestinationDocument>>
  readonly 'azure-key-vault': () => Promise<CreateDestination<AzureDestinationDocument>>
  readonly 'gcp-secret-manager': () => Promise<CreateDestination<GcpDestinationDocument>>
}

const stores: Table = {
  'aws-secrets-manager': async () => (await import('./aws-secrets-manager.ts')).createAwsSecretsManager,
  'azure-key-vault': async () => (await import('./azure-key-vault.ts')).createAzureKeyVault,
  'gcp-secret-manager': async () => (await import('./gcp-secret-manager.ts')).createGcpSecretManager,
}

export function createOpenDestination(deps: DestinationDeps): OpenDestination {
  return (destination) => {
    const load = stores[destination.document.type] as Table[DestinationType] as () => Promise<
      CreateDestination<DestinationDocument>
    >
    return createLoaded(async () => (await load())(destination as OpenedAs<DestinationDocument>, deps))
  }
}

/** A destination that is made with the first call. */
function createLoaded(make: () => Promise<SecretDestination>): SecretDestination {
  let made: Promise<SecretDestination> | undefined
  const loaded = () => (made ??= make())
  return {
    async *list(turn) {
      yield* (await loaded()).list(turn)
    },
    find: async (name, turn) => (await loaded()).find(name, turn),
    write: async (push, turn) => (await loaded()).write(push, turn),
    remove: async (name, owner, turn) => (await loaded()).remove(name, owner, turn),
    close: async () => (await made)?.close?.(),
  }
}
