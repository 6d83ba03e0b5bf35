/**
 * OpenID Connect discovery: the document that lets clouds verify our JWT-SVIDs, and the two members that we read of others.
 *
 * No browser ever signs in here. `authorization_endpoint` is there since validators expect the member, and is a URN, as in
 * the documents of Kubernetes API servers, which all clouds accept.
 *
 * @see {@link https://openid.net/specs/openid-connect-discovery-1_0.html OpenID Connect Discovery 1.0}
 * @module
 */
import type { SignatureAlgorithm } from './algorithms.ts'
import { ProtocolError } from './errors.ts'
import { isJsonObject } from './json.ts'
import { tokenExchangeGrantType } from './token-exchange.ts'

/** The document at `/.well-known/openid-configuration`. */
export interface DiscoveryDocument {
  readonly issuer: string
  readonly jwks_uri: string
  readonly authorization_endpoint: string
  readonly token_endpoint: string
  readonly response_types_supported: readonly string[]
  readonly subject_types_supported: readonly string[]
  readonly id_token_signing_alg_values_supported: readonly SignatureAlgorithm[]
  readonly claims_supported: readonly string[]
  readonly grant_types_supported: readonly string[]
  readonly token_endpoint_auth_methods_supported: readonly string[]
}

/** @param options.issuer Made by {@link parseIssuer}; appears to the letter. */
export function buildDiscoveryDocument(options: {
  readonly issuer: string
  readonly jwksUri: string
  /** Of the keys at `jwksUri`. */
  readonly algorithms: readonly SignatureAlgorithm[]
}): DiscoveryDocument {
  return {
    issuer: options.issuer,
    jwks_uri: options.jwksUri,
    authorization_endpoint: 'urn:apostille:programmatic_authorization',
    token_endpoint: `${options.issuer.replace(/\/$/, '')}/token`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: options.algorithms,
    claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti'],
    grant_types_supported: [tokenExchangeGrantType],
    token_endpoint_auth_methods_supported: ['none'],
  }
}

/**
 * Where the keys of `issuer` are.
 *
 * @param value The parsed document.
 * @param issuer What the configuration says; §4.3: the document says the same, to the letter.
 * @throws {ProtocolError} `oidc_discovery`
 */
export function parseDiscoveryDocument(
  value: unknown,
  issuer: string,
): { readonly issuer: string; readonly jwksUri: string } {
  if (!isJsonObject(value)) throw new ProtocolError('oidc_discovery', 'not an object')
  if (value.issuer !== issuer) throw new ProtocolError('oidc_discovery', 'the issuer is another')

  const { jwks_uri: jwksUri } = value
  if (typeof jwksUri !== 'string') throw new ProtocolError('oidc_discovery', 'no jwks_uri')
  const { hash } = parseHttpsUrl(jwksUri)
  if (hash !== '') throw new ProtocolError('oidc_discovery', 'jwks_uri has a fragment')
  return { issuer, jwksUri }
}

/**
 * An issuer, which is compared as a string everywhere and so has one spelling: the one that URL parsers give back, with or
 * without a last slash. A port is allowed here, and refused by clouds.
 *
 * @throws {ProtocolError} `oidc_discovery` for anything but a canonical https URL without query, fragment or user
 */
export function parseIssuer(text: string): string {
  const { href } = parseHttpsUrl(text)
  // §2: no query, no fragment; an empty one leaves no trace in the parsed URL.
  if (/[?#]/.test(text)) throw new ProtocolError('oidc_discovery', 'an issuer has no query or fragment')
  if (text !== href && `${text}/` !== href) throw new ProtocolError('oidc_discovery', 'not the canonical spelling')
  return text
}

function parseHttpsUrl(text: string): URL {
  const url = URL.parse(text)
  if (url?.protocol !== 'https:') throw new ProtocolError('oidc_discovery', 'not an https URL')
  if (url.username !== '' || url.password !== '') throw new ProtocolError('oidc_discovery', 'a URL with a user')
  return url
}
