/**
 * What can be wrong with bytes or text that claim to follow a specification.
 *
 * @module
 */

/** Every way in which input breaks a specification, by the noun that it broke. */
export type ProtocolErrorCode =
  | 'encoding'
  | 'json'
  | 'der'
  | 'pem'
  | 'algorithm'
  | 'trust_domain_name'
  | 'spiffe_id_scheme'
  | 'spiffe_id_path'
  | 'spiffe_id_too_long'
  | 'jwk'
  | 'jws'
  | 'jws_header'
  | 'jws_signature'
  | 'jwt_claims'
  | 'jwt_expired'
  | 'jwt_not_yet_valid'
  | 'jwt_audience'
  | 'jwt_subject'
  | 'bundle'
  | 'certificate'
  | 'certificate_request'
  | 'certificate_request_signature'
  | 'certificate_key'
  | 'certificate_path'
  | 'certificate_expired'
  | 'certificate_not_yet_valid'
  | 'certificate_signature'
  | 'x509_svid'
  | 'token_exchange'
  | 'join_token'
  | 'oidc_discovery'
  | 'presigned_identity'
  | 'presigned_identity_host'
  | 'presigned_identity_expired'
  | 'presigned_identity_not_yet_valid'

/**
 * Input that a specification forbids: says what is wrong, not whose fault it is. Whoever knows where the bytes came
 * from translates it. `detail` names the rule that was broken and never repeats the input.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly code: ProtocolErrorCode
  readonly detail: string

  constructor(code: ProtocolErrorCode, detail = '', options?: ErrorOptions) {
    super(detail === '' ? code : `${code}: ${detail}`, options)
    this.code = code
    this.detail = detail
  }
}
