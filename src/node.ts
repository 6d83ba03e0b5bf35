/**
 * What `import` from `apostille/node` gives: what `apostille` gives, with files where there are any.
 *
 * @module
 */
export * from './index.ts'
export {
  createAzureCredential,
  createClient,
  createGoogleRefreshHandler,
  createGoogleSubjectTokenSupplier,
  fromApostille,
  type NodeGoogleSupplierOptions,
  type NodeOptions,
  type NodeTargetOptions,
} from './sdk/clouds.node.ts'
