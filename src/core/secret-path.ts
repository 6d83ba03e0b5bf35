/**
 * Where a secret stands: segments joined by slashes, such as `payments/db`.
 *
 * Each path has one spelling, so that a policy that compares texts decides about the secret that is meant.
 *
 * @module
 */
import { Refusal } from './refusal.ts'

declare const checked: unique symbol

/** Made by {@link parseSecretPath}. */
export type SecretPath = string & { readonly [checked]: 'SecretPath' }

/** What the paths of a folder begin with: empty for all of them, else a path and a slash. Made by {@link parseSecretFolder}. */
export type SecretFolder = string & { readonly [checked]: 'SecretFolder' }

const maxPathBytes = 512 // only ASCII gets as far as the check
const pathPattern = /^(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*$/

/** @throws {Refusal} `malformed_request` */
export function parseSecretPath(text: string): SecretPath {
  if (text.length > maxPathBytes) throw malformed(`path: at most ${maxPathBytes} bytes`)
  if (!pathPattern.test(text))
    throw malformed('path: expected segments of letters, digits, dots, dashes and underscores, with slashes between')
  return text as SecretPath
}

/** With or without the slash at its end. @throws {Refusal} `malformed_request` */
export function parseSecretFolder(text: string): SecretFolder {
  if (text === '') return text as SecretFolder
  return `${parseSecretPath(text.replace(/\/$/, ''))}/` as SecretFolder
}

function malformed(detail: string): Refusal {
  return new Refusal('malformed_request', detail, { detail })
}
