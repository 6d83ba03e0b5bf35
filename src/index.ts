/**
 * What `import` from the package gives.
 *
 * @module
 */
export * from './sdk/verify.ts'
