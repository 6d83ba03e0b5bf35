/**
 * Where an issuer's keys are: in a file, at a `jwks_uri` of the configuration, or at the one that discovery names.
 *
 * @see {@link https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig OpenID Connect Discovery §4}
 * @module
 */
import { parseStrictJson } from '../protocol/json.ts'
import { parseDiscoveryDocument } from '../protocol/oidc-discovery.ts'
import { createBearerFile } from './bearer-file.ts'
import { type HttpAnswer, type HttpClient, requireSuccess, UpstreamError } from './http-client.ts'
import { createWatchedFile, type FileReader } from './watched-file.ts'

export interface IssuerKeysConfig {
  readonly issuer: string
  readonly jwks_uri?: string | undefined
  readonly jwks_file?: string | undefined
  readonly token_file?: string | undefined
}

export interface IssuerKeysDeps {
  readonly request: HttpClient['request']
  readonly files: FileReader
  readonly monotonicMs: () => number
}

/** A JWK Set as it came. */
export interface KeySetText {
  readonly text: string
  /** How long it need not be asked for again: 1 minute to 1 hour, 5 seconds for a file. */
  readonly maxAgeMs: number
}

const fileMaxAgeMs = 5000

/** The function it answers throws `UpstreamError`, or `ProtocolError` for a discovery document that is not the issuer's. */
export function createIssuerKeys(config: IssuerKeysConfig, deps: IssuerKeysDeps): () => Promise<KeySetText> {
  if (config.jwks_file !== undefined) return createKeyFile(config.jwks_file, deps)
  const get = createGetter(config, deps)
  const locate = config.jwks_uri === undefined ? createDiscovery(config.issuer, get, deps.monotonicMs) : undefined

  return async () => {
    const answer = await get(config.jwks_uri ?? (await locate?.()) ?? '')
    return { text: answer.text, maxAgeMs: readMaxAgeMs(answer.headers) }
  }
}

function createKeyFile(path: string, deps: IssuerKeysDeps): () => Promise<KeySetText> {
  const file = createWatchedFile(path, deps)
  return async () => {
    try {
      return { text: await file.read(), maxAgeMs: fileMaxAgeMs }
    } catch (cause) {
      throw new UpstreamError('malformed', 'jwks_file could not be read', { cause })
    }
  }
}

type Getter = (url: string) => Promise<HttpAnswer>

/** The token goes to hosts of the configuration only, never to one that an answer names. */
function createGetter(config: IssuerKeysConfig, deps: IssuerKeysDeps): Getter {
  const bearer = config.token_file === undefined ? undefined : createBearerFile(config.token_file, deps)
  const named = [config.issuer, config.jwks_uri].flatMap((url) => (url === undefined ? [] : new URL(url).origin))

  return async (url) => {
    const token = named.includes(new URL(url).origin) ? await bearer?.() : undefined
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return requireSuccess(await deps.request({ url, headers }), url)
  }
}

function createDiscovery(issuer: string, get: Getter, monotonicMs: () => number): () => Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration` // §4.1
  let held: { readonly jwksUri: string; readonly untilMs: number } | undefined

  return async () => {
    const now = monotonicMs()
    if (held !== undefined && now < held.untilMs) return held.jwksUri
    const answer = await get(url)
    const { jwksUri } = parseDiscoveryDocument(parseStrictJson(answer.text), issuer)
    held = { jwksUri, untilMs: now + readMaxAgeMs(answer.headers) }
    return jwksUri
  }
}

const shortestMaxAgeMs = 60_000
const longestMaxAgeMs = 3_600_000
const usualMaxAgeMs = 300_000

/** RFC 9111 §5.2.2; 5 minutes where the answer does not say. */
function readMaxAgeMs(headers: Headers): number {
  const directives = headers.get('cache-control') ?? ''
  if (/(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])/i.test(directives)) return shortestMaxAgeMs
  const seconds = /(?:^|[\s,])max-age="?(\d{1,10})/i.exec(directives)?.[1]
  if (seconds === undefined) return usualMaxAgeMs
  return Math.min(Math.max(Number(seconds) * 1000, shortestMaxAgeMs), longestMaxAgeMs)
}
