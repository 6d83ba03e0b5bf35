/**
 * What each kind of destination takes: names, sizes and tags, as its vendor documents it. Known before any request, so
 * that what is never taken is told by `check` and `plan`.
 *
 * @see {@link https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html AWS: quotas}
 * @see {@link https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates Azure: object names}
 * @see {@link https://cloud.google.com/secret-manager/quotas Google: quotas and limits}
 * @module
 */
import type { DestinationType } from './config-destinations.ts'

export interface DestinationRules {
  /** Of whole names. */
  readonly name: { readonly pattern: RegExp; readonly expected: string }
  /** A value that is put into a name, in the alphabet of names. */
  readonly nameOf: (text: string) => string
  /** Names whose keys are equal are one name there. */
  readonly nameKey: (name: string) => string
  /** In UTF-8. */
  readonly minValueBytes: number
  readonly maxValueBytes: number
  /** Whether a value may be bytes that are no text. */
  readonly takesBytes: boolean
  /** The stamp's included. */
  readonly maxTags: number
  readonly tagName: { readonly pattern: RegExp; readonly expected: string }
  readonly tagValue: { readonly pattern: RegExp; readonly expected: string }
  /** Where the destination says nothing else: well within the quotas, as others use them too. */
  readonly pace: { readonly concurrency: number; readonly writesPerSecond: number; readonly readsPerSecond: number }
}

const same = (text: string) => text

export const destinationRules: Readonly<Record<DestinationType, DestinationRules>> = {
  'aws-secrets-manager': {
    name: {
      pattern: /^[A-Za-z0-9/_+=.@-]{1,512}$/,
      expected: '1 to 512 letters, digits and /_+=.@-',
    },
    nameOf: (text) => text.replaceAll(/[^A-Za-z0-9/_+=.@-]/g, '_'),
    nameKey: same,
    minValueBytes: 1,
    maxValueBytes: 65_536,
    takesBytes: true,
    maxTags: 50,
    tagName: {
      pattern: /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu,
      expected: '1 to 128 letters, digits, spaces and _.:/=+-@, not beginning with aws:',
    },
    tagValue: {
      pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u,
      expected: 'at most 256 letters, digits, spaces and _.:/=+-@',
    },
    // 50 a second for each of the writing actions of an account and region, 100 for listing.
    pace: { concurrency: 16, writesPerSecond: 40, readsPerSecond: 50 },
  },
  'azure-key-vault': {
    name: { pattern: /^[0-9A-Za-z-]{1,127}$/, expected: '1 to 127 letters, digits and hyphens' },
    nameOf: (text) => text.replaceAll(/[^0-9A-Za-z-]/g, '-'),
    nameKey: (name) => name.toLowerCase(),
    minValueBytes: 0,
    maxValueBytes: 25 * 1024,
    takesBytes: false,
    maxTags: 15,
    tagName: { pattern: /^[^\p{Cc}]{1,512}$/u, expected: '1 to 512 characters' },
    tagValue: { pattern: /^[^\p{Cc}]{0,256}$/u, expected: 'at most 256 characters' },
    // 300 in 10 seconds for creating, 4,000 for the rest of a vault and region.
    pace: { concurrency: 16, writesPerSecond: 25, readsPerSecond: 100 },
  },
  'gcp-secret-manager': {
    name: { pattern: /^[A-Za-z0-9_-]{1,255}$/, expected: '1 to 255 letters, digits, hyphens and underscores' },
    nameOf: (text) => text.replaceAll(/[^A-Za-z0-9_-]/g, '-'),
    nameKey: same,
    // An empty payload is none: https://github.com/hashicorp/terraform-provider-google/issues/10475
    minValueBytes: 1,
    maxValueBytes: 65_536,
    takesBytes: true,
    maxTags: 64,
    // Annotations: labels have a narrower alphabet, and the stamp and the tags of a sync stand in annotations.
    tagName: {
      pattern: /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
      expected: '1 to 63 letters, digits and ._-, beginning and ending with a letter or a digit',
    },
    tagValue: { pattern: /^.{0,1024}$/su, expected: 'at most 1024 characters' },
    // 600 a minute each for reading and writing of a project.
    pace: { concurrency: 16, writesPerSecond: 9, readsPerSecond: 9 },
  },
}
