/**
 * Port: where the secrets of a sync come from.
 *
 * @module
 */

import type { SourceDocument } from './config-sources.ts'
import { ServiceError } from './service-error.ts'

/** A secret as a listing shows it, without what it holds. */
export interface SourceEntry {
  /** Segments joined by slashes, such as `payments/db`. */
  readonly path: string
  /**
   * Changes with every change of what the secret holds: two reads under one revision give the same. Absent where only
   * reading tells, so that the secret is read in each run. For people too, so short and without a value in it.
   */
  readonly revision?: string
}

/** What a secret holds: names with values, plain JSON, or bytes that are one value. */
export type SecretContent =
  | { readonly kind: 'fields'; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }

export interface SourceSecret extends SourceEntry {
  readonly content: SecretContent
  /** For people, where they count otherwise than `revision` does. */
  readonly version?: string
}

/** Which secrets to list. */
export interface SourceQuery {
  /** What the paths of all that are wanted begin with; more may be listed. Ends anywhere, also within a segment. */
  readonly prefix: string
  readonly signal: AbortSignal
}

/**
 * Port: read by one sync at a time. Each call is tried once, and has deadlines of its own besides the signal.
 *
 * @throws {SourceError} and nothing else
 */
export interface SecretSource {
  /**
   * Everything that there is under the prefix, in pages, each path once, in any order that stays the same while nothing
   * changes. A listing that ends is a whole one: what it lacks is taken for deleted, and goes at the destinations. So
   * whatever can not be listed is thrown, and never left out.
   */
  readonly list: (query: SourceQuery) => AsyncIterable<readonly SourceEntry[]>
  /** As it is now; undefined where there is none (any more). */
  readonly read: (path: string, signal: AbortSignal) => Promise<SourceSecret | undefined>
  /**
   * Says which path may have changed, soon after it did; a change may be missed or told twice. Answers what ends it.
   * Absent where only listing tells.
   */
  readonly watch?: (onChange: (path: string) => void) => () => void
  /** Frees what it holds, such as connections. */
  readonly close?: () => Promise<void>
}

/**
 * What kind of failure it is, which says what to do about it:
 * - `unreachable`: no answer, a 5xx, or one that is not understood; to be tried again
 * - `throttled`: to be tried again later
 * - `forbidden`: our identity may not, until somebody permits it
 * - `unreadable`: what is there can not be read as a secret
 * - `refused`: any other no; trying again changes nothing
 */
export type SourceErrorKind = 'unreachable' | 'throttled' | 'forbidden' | 'unreadable' | 'refused'

/** A source did not answer with what was asked. */
export class SourceError extends ServiceError<SourceErrorKind> {
  override readonly name = 'SourceError'
}

/** Port: the adapter for a source of the configuration. */
export type OpenSource = (source: OpenedSource) => SecretSource

export interface OpenedSource {
  readonly name: string
  readonly document: SourceDocument
  /** A JWT-SVID of the sync for that audience, on record, with minutes left to live. @throws {SourceError} */
  readonly token: (audience: string) => Promise<string>
}
