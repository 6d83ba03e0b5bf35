/**
 * AWS roles and users, by a request to STS that they signed for us and that we send.
 *
 * A signature is good once, on all replicas together: whoever sees the proof on its way has it as well, and STS takes it for
 * a quarter of an hour. It is claimed after STS has accepted it, so that what anybody can make up fills no store.
 *
 * @module
 */
import type { Authentication, Authenticator, Proof } from '../../core/authenticate.ts'
import type { AwsConfig } from '../../core/config-authenticators.ts'
import { Refusal } from '../../core/refusal.ts'
import { type Store, StoreError } from '../../core/store.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import {
  digestPresignedIdentity,
  isStsHost,
  type PresignedIdentity,
  parsePresignedIdentity,
  presignedLifeSeconds,
  readPresignedHost,
  type StsPlace,
} from '../../protocol/presigned-identity.ts'
import { type CallerIdentity, createCallerIdentityAsker } from '../caller-identity.ts'
import type { ConnectUpstream } from '../http-client.ts'
import { requireBearer } from './oidc.ts'

export interface AwsDeps {
  readonly connect: ConnectUpstream
  readonly store: Pick<Store, 'claimProof'>
  /** Whose name a signature has to be made for: our issuer. */
  readonly ours: () => { readonly issuer: string }
}

/** By which the clocks of replicas may differ. */
const clockSlackSeconds = 300

export function createAwsAuthenticator(config: AwsConfig, deps: AwsDeps): Authenticator {
  const place = stsPlace(config)
  const client = deps.connect({
    hosts: config.endpoint === undefined ? [] : [new URL(config.endpoint).hostname],
    private: config.private,
    ...(config.ca_file === undefined ? {} : { caFile: config.ca_file }),
  })
  const ask = createCallerIdentityAsker(client)

  async function authenticate(proof: Proof, now: Date): Promise<Authentication> {
    const presigned = readProof(requireBearer(proof), place, now)
    checkRegion(presigned, config)
    const caller = await ask(presigned, deps.ours().issuer)
    checkCaller(caller, config)
    await claim(deps.store, presigned, now)
    return {
      identity: {
        authenticator: config.name,
        type: 'aws',
        attributes: { ...caller },
        recorded: { ...caller },
        use: { kind: 'rules' },
      },
    }
  }

  return {
    name: config.name,
    type: 'aws',
    accepts: { awsIdentities: true },
    owns: async (proof) => isOurs(requireBearer(proof), place),
    authenticate,
    close: client.close,
  }
}

/** The STS that an authenticator of the configuration asks. */
function stsPlace({ partition, endpoint }: AwsConfig): StsPlace {
  return { partition, ...(endpoint === undefined ? {} : { endpointHost: new URL(endpoint).host }) }
}

function rejected(reason: string, cause?: unknown): Refusal {
  return new Refusal('proof_rejected', reason, cause === undefined ? {} : { cause })
}

function readProof(token: string, place: StsPlace, now: Date): PresignedIdentity {
  try {
    return parsePresignedIdentity(token, place, now)
  } catch (cause) {
    if (cause instanceof ProtocolError) throw rejected(`the presigned URL is not accepted (${cause.message})`, cause)
    throw cause
  }
}

function isOurs(token: string, place: StsPlace): boolean {
  try {
    return isStsHost(readPresignedHost(token), place)
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}

function checkRegion({ region }: PresignedIdentity, { regions }: AwsConfig): void {
  if (regions && !regions.includes(region)) throw rejected(`the signature is for ${region}, which is not in regions`)
}

function checkCaller({ account, partition }: CallerIdentity, config: AwsConfig): void {
  if (partition !== config.partition) throw rejected(`the caller is of partition ${partition}`)
  if (config.accounts && !config.accounts.includes(account))
    throw rejected(`the caller is of account ${account}, which is not in accounts`)
}

async function claim(store: AwsDeps['store'], presigned: PresignedIdentity, now: Date): Promise<void> {
  const lastsSeconds = presignedLifeSeconds + clockSlackSeconds
  const expiresAt = new Date(presigned.signedAt.getTime() + lastsSeconds * 1000)
  try {
    if (await store.claimProof({ digest: digestPresignedIdentity(presigned), at: now, expiresAt })) return
  } catch (cause) {
    if (!(cause instanceof StoreError)) throw cause
    throw new Refusal('store_unavailable', `the proof could not be claimed: ${cause.message}`, { cause })
  }
  throw rejected('the signature was used before: each is good once')
}
