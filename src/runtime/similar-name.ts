/**
 * The name that was probably meant, for the command line.
 *
 * @module
 */
export { findSimilarName } from '../core/similar-name.ts'
