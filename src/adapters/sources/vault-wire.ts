/**
 * What is sent to a Vault or OpenBao server, and what it answers: login by JWT, and the reading half of KV v2.
 *
 * @see {@link https://developer.hashicorp.com/vault/api-docs/auth/jwt#jwt-login JWT login}
 * @see {@link https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 KV v2}
 * @module
 */
import { isJsonObject } from '../../protocol/json.ts'
import { readMembers } from '../exchangers/cloud-refusal.ts'
import { type HttpAnswer, type HttpRequest, UpstreamError } from '../http-client.ts'

/** Where in a server the secrets are, and how to get in. */
export interface VaultPlace {
  /** https URL of the server. */
  readonly address: string
  /** Of Vault Enterprise and OpenBao; absent: the root namespace. */
  readonly namespace?: string | undefined
  /** Where the KV v2 engine is mounted, without slashes at its ends. */
  readonly mount: string
  /** Where the JWT login is mounted, without `auth/`. */
  readonly authMount: string
  /** Of the login. */
  readonly role: string
}

export interface VaultToken {
  readonly token: string
  /** From its making; undefined: it does not end. */
  readonly lifeMs: number | undefined
}

/** A version that can be read. */
export interface VaultVersion {
  /** From 1. */
  readonly number: number
  /** Number and time: the numbers of a secret that is made anew begin again. */
  readonly revision: string
  readonly data: Members
}

type Members = Readonly<Record<string, unknown>>

/** A second login for one token does no harm. */
export function buildLogin(place: VaultPlace, jwt: string): HttpRequest {
  return {
    ...buildRequest(place, `auth/${encodePath(place.authMount)}/login`),
    method: 'POST',
    repeatable: true,
    body: JSON.stringify({ role: place.role, jwt }),
  }
}

/** Gives the token back. */
export function buildRevocation(place: VaultPlace, token: string): HttpRequest {
  return { ...buildRequest(place, 'auth/token/revoke-self', token), method: 'POST', repeatable: true, body: '{}' }
}

/** What is mounted there: a KV v1 engine answers questions for KV v2 as if it were empty. */
export function buildMountQuestion(place: VaultPlace, token: string): HttpRequest {
  return buildRequest(place, `sys/internal/ui/mounts/${encodePath(place.mount)}`, token)
}

/**
 * All at once: Vault knows no pages, and answers what it does not know with a warning in place of the 404 that says empty.
 *
 * @param folder Empty, or ends in a slash.
 */
export function buildList(place: VaultPlace, token: string, folder: string): HttpRequest {
  return buildRequest(place, `${encodePath(place.mount)}/metadata/${encodePath(folder)}?list=true`, token)
}

export function buildRead(place: VaultPlace, token: string, path: string): HttpRequest {
  return buildRequest(place, `${encodePath(place.mount)}/data/${encodePath(path)}`, token)
}

function buildRequest({ address, namespace }: VaultPlace, path: string, token?: string): HttpRequest {
  return {
    url: `${address.replace(/\/$/, '')}/v1/${path}`,
    headers: {
      // Vault's agents refuse requests without it, as a browser that is led astray does not send it.
      'x-vault-request': 'true',
      ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
      ...(token !== undefined && { 'x-vault-token': token }),
    },
  }
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

/** @throws {UpstreamError} `malformed` */
export function readLogin(answer: HttpAnswer): VaultToken {
  const auth = membersAt(answer, 'auth')
  const { client_token: token, lease_duration: seconds } = auth ?? {}
  // What could not be a header would be no token.
  if (typeof token !== 'string' || !/^[\x21-\x7e]{1,4096}$/.test(token)) throw malformed('a login')
  if (typeof seconds !== 'number' || !(seconds >= 0)) throw malformed('a login')
  return { token, lifeMs: seconds === 0 ? undefined : seconds * 1000 }
}

export interface VaultMount {
  /** Such as `kv`. */
  readonly type: string
  /** Of a `kv`: `1` or `2`. */
  readonly version: string
}

/** @throws {UpstreamError} `malformed` */
export function readMount(answer: HttpAnswer): VaultMount {
  const data = membersAt(answer, 'data')
  if (typeof data?.['type'] !== 'string') throw malformed('the question what is mounted')
  const { type, options } = data
  const version = isJsonObject(options) && typeof options['version'] === 'string' ? options['version'] : '1'
  return { type, version }
}

/** Names in a folder, those of folders with a slash at their end. @throws {UpstreamError} `malformed` */
export function readKeys(answer: HttpAnswer): readonly string[] {
  const keys = membersAt(answer, 'data')?.['keys']
  if (!Array.isArray(keys)) throw malformed('a listing')
  if (!keys.every((key) => typeof key === 'string' && /^[^/]+\/?$/.test(key))) throw malformed('a listing')
  return keys
}

/** @throws {UpstreamError} `malformed` */
export function readVersion(answer: HttpAnswer): VaultVersion {
  const { data, metadata } = membersAt(answer, 'data') ?? {}
  const { version, created_time: time } = isJsonObject(metadata) ? metadata : {}
  if (!isJsonObject(data) || typeof version !== 'number' || typeof time !== 'string') throw malformed('a reading')
  return { number: version, revision: `${version}@${time}`, data }
}

/** Of a 404: the version was deleted or destroyed, which leaves its metadata. */
export function isGone(answer: HttpAnswer): boolean {
  const { data, metadata } = membersAt(answer, 'data') ?? {}
  return data === null && isJsonObject(metadata)
}

/** What Vault says is wrong; empty where there is nothing, undefined for an answer that is none of Vault's. */
export function readErrors(answer: HttpAnswer): readonly string[] | undefined {
  const errors = readMembers(answer)?.['errors']
  return Array.isArray(errors) ? errors.filter((error) => typeof error === 'string') : undefined
}

function membersAt(answer: HttpAnswer, name: string): Members | undefined {
  const value = readMembers(answer)?.[name]
  return isJsonObject(value) ? value : undefined
}

function malformed(what: string): UpstreamError {
  return new UpstreamError('malformed', `it answered ${what} with something that no Vault answers`)
}
