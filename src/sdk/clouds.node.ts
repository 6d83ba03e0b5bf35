/**
 * The adapters for the clouds' SDKs on Node: files are named, the environment completes what is left out, and equal calls
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
import { type NodeOptions, readNodeOptions } from './node-options.node.ts'

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
