/**
 * What `import` from the package gives.
 *
 * @module
 */
export { ApostilleError } from './sdk/apostille-error.ts'
export { type AwsIdentity, fromApostille } from './sdk/aws.ts'
export { type AzureAccessToken, type AzureCredential, createAzureCredential } from './sdk/azure.ts'
export { type Client, type ClientOptions, createClient, type Fetch, type JwtSvidRequest } from './sdk/client.ts'
export type { AccessTokenCredential, AwsCredential, CloudCredential, JwtSvid } from './sdk/credential-answer.ts'
export type { FreshOptions, TargetOptions } from './sdk/fresh-client.ts'
export {
  createGoogleRefreshHandler,
  createGoogleSubjectTokenSupplier,
  type GoogleAccessToken,
  type GoogleSubjectTokenSupplier,
  type GoogleSupplierOptions,
} from './sdk/google.ts'
export * from './sdk/verify.ts'
