/**
 * What `import` from `apostille/node` gives: what `apostille` gives, with files where there are any, and X.509-SVIDs for
 * mutual TLS.
 *
 * @module
 */
export * from './index.ts'
export {
  type ClientGuardOptions,
  createHttpsAgent,
  createUndiciConnect,
  mtlsClientOptions,
  type UndiciConnect,
} from './sdk/mtls-client.node.ts'
export { createMtlsServer, type GuardOptions, guardServer, mtlsServerOptions } from './sdk/mtls-server.node.ts'
export { type Peer, peerOf } from './sdk/peer.ts'
export {
  createAzureCredential,
  createClient,
  createGoogleRefreshHandler,
  createGoogleSubjectTokenSupplier,
  createIssuerKeys,
  createJwtSource,
  fromApostille,
  type NodeGoogleSupplierOptions,
  type NodeIssuerKeysOptions,
  type NodeOptions,
  type NodeTargetOptions,
} from './sdk/with-files.node.ts'
export { createX509FileSource, type X509FileSourceOptions } from './sdk/x509-file-source.node.ts'
export { readX509Folder, type X509Files, type X509Material } from './sdk/x509-folder.node.ts'
export {
  createX509Source,
  type X509Source,
  type X509SourceEvents,
  type X509SourceOptions,
  type X509Svid,
} from './sdk/x509-source.node.ts'
