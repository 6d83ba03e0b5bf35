/**
 * Verification of SVIDs for those who receive them, by a bundle at hand.
 *
 * @module
 */
export { type Certificate, parseCertificate } from '../protocol/certificate.ts'
export { ProtocolError, type ProtocolErrorCode } from '../protocol/errors.ts'
export {
  type JwtAuthorityKey,
  type JwtSvidValidation,
  type ValidatedJwtSvid,
  validateJwtSvid,
} from '../protocol/jwt-svid.ts'
export { parseSpiffeId, parseTrustDomain, type SpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
export { formatTrustBundle, parseTrustBundle, type TrustBundle } from '../protocol/trust-bundle.ts'
export { type ValidX509Svid, validateX509Svid } from '../protocol/x509-svid.ts'
