/**
 * Port: what is kept, and what must be atomic.
 *
 * Methods are whole operations, as not every store has transactions that a caller can hold open. A store belongs to one
 * trust domain, whose name is part of every key in it.
 *
 * @module
 */

/** A small piece of state that is read and replaced as a whole, such as the set of authorities. */
export interface StoredDocument {
  /** Grows by one with each write; 0 means that there is none. */
  readonly version: number
  readonly body: string
}

/** One link of a chain of records, as `record-chain.ts` makes it. */
export interface StoredRecord {
  readonly chain: string
  /** Counts from 1 without a gap, within its chain. */
  readonly sequence: number
  readonly at: Date
  /** HMAC over this record and the one before it. */
  readonly mac: Uint8Array
  /** The record itself, JSON. */
  readonly body: string
}

/** What a signed statement about a chain says: everything up to `sequence` has this `mac`. */
export interface StoredHead {
  readonly chain: string
  readonly sequence: number
  readonly at: Date
  readonly mac: Uint8Array
  /** A `checkpoint` stands where records were pruned; a `head` where the chain ended when it was signed. */
  readonly kind: 'head' | 'checkpoint'
  readonly signature: Uint8Array
}

export interface StoredJoinToken {
  readonly id: string
  /** Name of the authenticator that takes it. */
  readonly authenticator: string
  /** What rules see as `proof.name`. */
  readonly name: string
  /** SHA-256 of the token. */
  readonly digest: Uint8Array
  readonly attributes: Readonly<Record<string, string>>
  readonly uses: number
  readonly usesLeft: number
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly revokedAt?: Date
}

/** Takes one use from a join token. */
export interface JoinTokenSpend {
  readonly id: string
  readonly at: Date
}

/** That a proof which is good once was shown. */
export interface ProofClaim {
  /** SHA-256 of what makes the proof the one that it is. */
  readonly digest: Uint8Array
  readonly at: Date
  /** When nobody takes the proof any more, the clocks of all replicas considered: the claim need not be kept longer. */
  readonly expiresAt: Date
}

/** Replaces or removes a document, as it is on record. */
export interface DocumentChange {
  readonly name: string
  /** Version that it replaces; 0 where there is to be none. */
  readonly expected: number
  /** Absent: the document is removed. */
  readonly body?: string
}

/** Records that are kept together or not at all, with the uses that they spend and the documents that they change. */
export interface RecordBatch {
  readonly records: readonly StoredRecord[]
  readonly spends: readonly JoinTokenSpend[]
  readonly changes?: readonly DocumentChange[]
}

/** Which documents to list, by name in the order of its bytes. */
export interface DocumentQuery {
  /** What their names begin with. */
  readonly prefix: string
  /** Only names that come after this one. */
  readonly after?: string
  /** At most this many. Default: all. */
  readonly limit?: number
}

/** Which records of a chain to read: oldest first, or newest first. */
export interface RecordQuery {
  readonly chain: string
  /** Only what comes after this sequence number (before it, when newest first). */
  readonly after?: number
  /** Only what was kept at or after this time. */
  readonly from?: Date
  /** Only what was kept before this time. */
  readonly until?: Date
  readonly newestFirst?: boolean
  /** At most this many. */
  readonly limit: number
}

/** Which signed statements about a chain to read: oldest first, or newest first. */
export interface HeadQuery {
  readonly chain: string
  /** Only what stands after this sequence number (before it, when newest first). */
  readonly after?: number
  readonly newestFirst?: boolean
  /** At most this many. */
  readonly limit: number
}

export type StoreErrorCode =
  /** Another process has it open. */
  | 'in_use'
  /** The file is something else, or can not be read as what it should be. */
  | 'not_a_store'
  /** Written by a newer version of this program. */
  | 'newer_version'
  /** Made for another purpose, such as by `dev`. */
  | 'other_purpose'
  /** What has to be there is not. */
  | 'damaged'
  /** It can not be read or written right now: permissions, a full disk, a lost connection, closed. */
  | 'unavailable'
  /** It can be read, and takes no writes: it is a copy, or was made so. */
  | 'read_only'
  /** What is to be added exists. */
  | 'conflict'

/** What went wrong with the store, in words for the operator: what, where, and what to do next. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** @throws {StoreError} from every method */
export interface Store {
  /** Version 0 and an empty body when there is none. */
  readonly readDocument: (name: string) => Promise<StoredDocument>
  /** Names and versions, without bodies. */
  readonly listDocuments: (
    query: DocumentQuery,
  ) => Promise<readonly { readonly name: string; readonly version: number }[]>
  /** Replaces the document if its version is still `expected`; false when somebody else was faster. Durable. */
  readonly writeDocument: (name: string, expected: number, body: string) => Promise<boolean>
  /**
   * Removes the document if its version is still `expected`; false when somebody else was faster. Durable. One that is
   * made anew has a greater version than any before it, so that nobody replaces it with what was read of another.
   */
  readonly deleteDocument: (name: string, expected: number) => Promise<boolean>

  /**
   * Atomic and durable: all records, spends and changes, or nothing. Answers the indexes of spends that found no use
   * left (used up, expired or revoked at `at`, or no such token) and, counted on behind the spends, of changes whose
   * document is no longer of the version expected, in which case nothing was written; an empty list means that all was
   * kept. Both are taken in order, so that of two on a last use, or on one version, the second is answered. A record
   * whose chain and sequence exist is `conflict`. After any other error it is unknown whether the batch was kept.
   */
  readonly appendRecords: (batch: RecordBatch) => Promise<readonly number[]>
  readonly readRecords: (query: RecordQuery) => Promise<readonly StoredRecord[]>
  /** The last record of a chain, from which its writer goes on. */
  readonly lastRecord: (chain: string) => Promise<StoredRecord | undefined>
  readonly listChains: () => Promise<readonly string[]>
  /** Adds a signed statement; one of the same chain, sequence and kind is left as it is. */
  readonly writeHead: (head: StoredHead) => Promise<void>
  /** By sequence. After a prune its checkpoint is the oldest. */
  readonly readHeads: (query: HeadQuery) => Promise<readonly StoredHead[]>
  /**
   * Atomic: keeps `checkpoint` and removes every record and head of its chain up to its sequence. Answers how many
   * records went. One at or below a checkpoint that stands changes nothing.
   */
  readonly pruneRecords: (checkpoint: StoredHead) => Promise<number>

  /** @throws {StoreError} `conflict` for an id or a digest that exists */
  readonly createJoinToken: (token: StoredJoinToken) => Promise<void>
  readonly findJoinToken: (digest: Uint8Array) => Promise<StoredJoinToken | undefined>
  readonly readJoinToken: (id: string) => Promise<StoredJoinToken | undefined>
  /** By id. */
  readonly listJoinTokens: (query: {
    readonly after?: string
    readonly limit: number
  }) => Promise<readonly StoredJoinToken[]>
  /** False when there is none of that id. A second revocation keeps the first time. */
  readonly revokeJoinToken: (id: string, at: Date) => Promise<boolean>
  /** Removes tokens that had expired and, where they are revoked, were so before `at`: up to a thousand a call. */
  readonly pruneJoinTokens: (at: Date) => Promise<void>

  /**
   * Atomic and durable: true for whoever claims the digest first, false for everybody else until that claim has expired
   * at their `at`. Removes some of what has expired, so that claims do not pile up and no call takes long.
   */
  readonly claimProof: (claim: ProofClaim) => Promise<boolean>

  /** Whether reading and writing work right now; throws what went wrong. */
  readonly check: () => Promise<void>
  readonly close: () => Promise<void>
}
