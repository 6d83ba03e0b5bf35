/**
 * What Secret Manager holds for one project.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'

export interface GoogleSecretVersion {
  readonly number: number
  readonly createdAt: Date
  data: Buffer | undefined
  state: 'ENABLED' | 'DISABLED' | 'DESTROYED'
  etag: string
}

export type Texts = Readonly<Record<string, string>>

export interface GoogleSecret {
  /** `projects/NUMBER/secrets/ID`, or below a location. */
  readonly name: string
  readonly createdAt: Date
  readonly replication: object | undefined
  customerManagedEncryption: object | undefined
  labels: Texts
  annotations: Texts
  etag: string
  /** Oldest first. */
  readonly versions: GoogleSecretVersion[]
}

/** May be changed at any time, as by somebody else in the project. */
export interface GoogleSecretsState {
  readonly project: string
  readonly projectNumber: string
  /** By name. */
  readonly secrets: Map<string, GoogleSecret>
  /** Who may do what, in the whole project. */
  bindings: readonly { readonly permissions: readonly string[]; readonly members: readonly string[] }[]
  /** Of the project; 600 by default. */
  writesPerMinute: number
  /** Of the last minute. */
  readonly writtenAt: Date[]
}

export const makeEtag = () => `"${randomBytes(7).toString('hex')}"`

/** Names hold the number of the project, and may be asked for with its id. */
export function canonicalName({ project, projectNumber }: GoogleSecretsState, name: string): string {
  return name.startsWith(`projects/${project}/`)
    ? name.replace(`projects/${project}/`, `projects/${projectNumber}/`)
    : name
}

/** Without any check. */
export function createGoogleSecret(
  state: GoogleSecretsState,
  name: string,
  now: Date,
  given: Partial<Pick<GoogleSecret, 'labels' | 'annotations' | 'replication' | 'customerManagedEncryption'>> = {},
): GoogleSecret {
  const secret: GoogleSecret = {
    name: canonicalName(state, name),
    createdAt: now,
    replication: undefined,
    customerManagedEncryption: undefined,
    labels: {},
    annotations: {},
    etag: makeEtag(),
    versions: [],
    ...given,
  }
  state.secrets.set(secret.name, secret)
  return secret
}

/** Without any check. */
export function addGoogleVersion(secret: GoogleSecret, data: Buffer, now: Date): GoogleSecretVersion {
  const number = (secret.versions.at(-1)?.number ?? 0) + 1
  const version: GoogleSecretVersion = { number, createdAt: now, data, state: 'ENABLED', etag: makeEtag() }
  secret.versions.push(version)
  return version
}
