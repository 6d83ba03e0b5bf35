/**
 * A secret with its versions, as users of KV v2 know it. Every change makes a new value, so that it can be tried again on
 * what somebody else made of the secret meanwhile.
 *
 * @see {@link https://developer.hashicorp.com/vault/docs/secrets/kv/kv-v2 KV v2}
 * @module
 */
import { Refusal } from './refusal.ts'

export interface SecretVersion {
  /** From 1. */
  readonly number: number
  readonly createdAt: Date
  /** Since when it is not to be read, until it is undeleted. */
  readonly deletedAt?: Date
  /** Its data, sealed; absent once it is destroyed. */
  readonly sealed?: string
}

/** What is set of a secret besides its data. */
export interface SecretSettings {
  /** Versions that are kept: with one more, the oldest goes. From 1 to 100. */
  readonly maxVersions: number
  /** Whether each write has to say which version it follows. */
  readonly casRequired: boolean
  /** For people and programs; no secret. */
  readonly customMetadata: Readonly<Record<string, string>>
}

export interface Secret extends SecretSettings {
  readonly createdAt: Date
  readonly updatedAt: Date
  /** Number of the version that was written last; 0 before the first. */
  readonly current: number
  /** By number. */
  readonly versions: readonly SecretVersion[]
}

/** Default of {@link SecretSettings.maxVersions}. */
export const usualMaxVersions = 10

export function createSecret(now: Date): Secret {
  const settings = { maxVersions: usualMaxVersions, casRequired: false, customMetadata: {} }
  return { ...settings, createdAt: now, updatedAt: now, current: 0, versions: [] }
}

/** The version of that number, by default the current one. */
export function findVersion(secret: Secret | undefined, number = secret?.current): SecretVersion | undefined {
  return secret?.versions.find((version) => version.number === number)
}

/** Whether its data can be read. */
export function isReadable({ deletedAt, sealed }: SecretVersion): boolean {
  return deletedAt === undefined && sealed !== undefined
}

/**
 * @param cas Number of the version that is to be followed; 0 where there is to be none.
 * @throws {Refusal} `conflict` when another one is current, `malformed_request` when it has to be said
 */
export function checkCas(secret: Secret | undefined, cas: number | undefined): void {
  const current = secret?.current ?? 0
  if (cas === undefined && secret?.casRequired === true)
    throw refuse('malformed_request', 'cas: this secret is only written with the version that the write follows')
  if (cas !== undefined && cas !== current) throw refuse('conflict', `cas: the current version is ${current}`)
}

/** @param sealed Data of the version that comes after the current one. */
export function addVersion(secret: Secret, sealed: string, now: Date): Secret {
  const number = secret.current + 1
  const versions = [...secret.versions, { number, createdAt: now, sealed }].slice(-secret.maxVersions)
  return { ...secret, updatedAt: now, current: number, versions }
}

/** The data stays, and is not to be read. @throws {Refusal} `not_found` */
export function deleteVersions(secret: Secret, numbers: readonly number[], now: Date): Secret {
  return changeVersions(secret, numbers, (version) => (isReadable(version) ? { ...version, deletedAt: now } : version))
}

/** @throws {Refusal} `not_found`; `conflict` for one that is destroyed */
export function undeleteVersions(secret: Secret, numbers: readonly number[]): Secret {
  return changeVersions(secret, numbers, (version) => {
    const { deletedAt, ...rest } = version
    if (version.sealed === undefined) throw refuse('conflict', `versions: ${version.number} is destroyed`)
    return deletedAt === undefined ? version : rest
  })
}

/** The data goes, for ever. @throws {Refusal} `not_found` */
export function destroyVersions(secret: Secret, numbers: readonly number[]): Secret {
  return changeVersions(secret, numbers, (version) => {
    const { sealed, ...rest } = version
    return sealed === undefined ? version : rest
  })
}

export function configureSecret(secret: Secret, settings: Partial<SecretSettings>, now: Date): Secret {
  return { ...secret, ...settings, updatedAt: now }
}

/** The same secret where nothing changes. */
function changeVersions(
  secret: Secret,
  numbers: readonly number[],
  change: (version: SecretVersion) => SecretVersion,
): Secret {
  const missing = numbers.find((number) => findVersion(secret, number) === undefined)
  if (missing !== undefined) throw refuse('not_found', `versions: there is no version ${missing}`)
  const versions = secret.versions.map((version) => (numbers.includes(version.number) ? change(version) : version))
  const isChanged = versions.some((version, index) => version !== secret.versions[index])
  return isChanged ? { ...secret, versions } : secret
}

function refuse(code: 'malformed_request' | 'conflict' | 'not_found', detail: string): Refusal {
  return new Refusal(code, detail, { detail })
}
