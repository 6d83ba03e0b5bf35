/**
 * What `import` from the package gives. It needs `fetch` and nothing else of its runtime, and each part that is not used
 * is left out by a bundler.
 *
 * @module
 */
export { ApostilleError, type ApostilleErrorCode } from './sdk/apostille-error.ts'
export type { Fetch } from './sdk/ask.ts'
export {
  type Authorizer,
  authorizeAny,
  authorizeId,
  authorizeMatching,
  authorizeMemberOf,
  requireAuthorized,
} from './sdk/authorize.ts'
export { type AwsIdentity, fromApostille } from './sdk/aws.ts'
export { type AzureAccessToken, type AzureCredential, createAzureCredential } from './sdk/azure.ts'
export {
  type BatchOutcomes,
  type BatchRequest,
  type Client,
  type ClientOptions,
  createClient,
  type JwtSvidRequest,
  type X509SvidRequest,
} from './sdk/client.ts'
export type { AccessTokenCredential, AwsCredential, CloudCredential } from './sdk/credential-answer.ts'
export type { FreshOptions, TargetOptions } from './sdk/fresh-client.ts'
export {
  createGoogleRefreshHandler,
  createGoogleSubjectTokenSupplier,
  type GoogleAccessToken,
  type GoogleSubjectTokenSupplier,
  type GoogleSupplierOptions,
} from './sdk/google.ts'
export { createIssuerKeys, type IssuerKeysOptions } from './sdk/issuer-keys.ts'
export { createJwtSource, type JwtSource } from './sdk/jwt-source.ts'
export type {
  KvClient,
  Secret,
  SecretHistory,
  SecretPage,
  SecretSettings,
  SecretVersion,
  SecretWriteOptions,
} from './sdk/kv-client.ts'
export type { Identity, IssuedX509Svid, JwtSvid } from './sdk/svid-answer.ts'
export * from './sdk/verify.ts'
export { type JwtKeySource, type JwtVerification, verifyJwtSvid } from './sdk/verify-jwt-svid.ts'
