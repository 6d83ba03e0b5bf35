/**
 * The client, its sources and the adapters for the clouds' SDKs on Node: files are named, the environment completes what is left out, and equal calls
 * at the same time are one.
 *
 * @module
 */
import { type AwsIdentity, fromApostille as fromAnywhere } from './aws.ts'
import { type AzureCredential, createAzureCredential as createAzureAnywhere } from './azure.ts'
import { type Client, createClient as createAnywhere } from './client.ts'
import {
  createGoogleRefreshHandler as createGoogleRefreshAnywhere,
  createGoogleSubjectTokenSupplier as createGoogleSupplierAnywhere,
  type GoogleAccessToken,
  type GoogleSubjectTokenSupplier,
} from './google.ts'
import { createHttpsFetch, readTlsFiles } from './https-fetch.node.ts'
import { createIssuerKeys as createKeysAnywhere, type IssuerKeysOptions } from './issuer-keys.ts'
import { createJoinEqual } from './join-equal.node.ts'
import { createJwtSource as createJwtSourceAnywhere, type JwtSource } from './jwt-source.ts'
import { type NodeOptions, readNodeOptions } from './node-options.node.ts'
import type { JwtKeySource } from './verify-jwt-svid.ts'

export type { NodeOptions } from './node-options.node.ts'

export interface NodeTargetOptions extends NodeOptions {
  /** Name of a target in the gateway's configuration. */
  readonly target: string
}

export interface NodeGoogleSupplierOptions extends NodeOptions {
  /** Of the tokens, where it is not the provider's own name, which is the default. */
  readonly audience?: string
}

/** @throws {ApostilleError} `usage` */
export function createClient(options: NodeOptions = {}): Client {
  return createAnywhere(readNodeOptions(options))
}

/** @throws {ApostilleError} `usage` */
export function createJwtSource(options: NodeOptions = {}): JwtSource {
  return createJwtSourceAnywhere(readNodeOptions(options))
}

export interface NodeIssuerKeysOptions extends Omit<IssuerKeysOptions, 'join'> {
  /** Authorities that vouch for the issuer's certificate; default: those that Node knows. */
  readonly caFile?: string
}

/** @throws {ProtocolError} `oidc_discovery`, `trust_domain_name` */
export function createIssuerKeys({ caFile, ...options }: NodeIssuerKeysOptions): JwtKeySource {
  const fetch = caFile === undefined ? {} : { fetch: createHttpsFetch(() => readTlsFiles({ caFile })) }
  return createKeysAnywhere({ join: createJoinEqual(), ...fetch, ...options })
}

/** An `AwsCredentialIdentityProvider`. @throws {ApostilleError} `usage` */
export function fromApostille(options: NodeTargetOptions): () => Promise<AwsIdentity> {
  return fromAnywhere({ ...readNodeOptions(options), target: options.target })
}

/** A `TokenCredential`, for the scope of the target. @throws {ApostilleError} `usage` */
export function createAzureCredential(options: NodeTargetOptions): AzureCredential {
  return createAzureAnywhere({ ...readNodeOptions(options), target: options.target })
}

/** A `SubjectTokenSupplier`. @throws {ApostilleError} `usage` */
export function createGoogleSubjectTokenSupplier(options: NodeGoogleSupplierOptions = {}): GoogleSubjectTokenSupplier {
  const { audience } = options
  return createGoogleSupplierAnywhere({ ...readNodeOptions(options), ...(audience !== undefined && { audience }) })
}

/** A `refreshHandler`. @throws {ApostilleError} `usage` */
export function createGoogleRefreshHandler(options: NodeTargetOptions): () => Promise<GoogleAccessToken> {
  return createGoogleRefreshAnywhere({ ...readNodeOptions(options), target: options.target })
}
