/**
 * The tables of an SQLite store, one step per schema version: entry 0 makes version 1 out of an empty file. Steps are
 * only ever added. Each runs in a transaction of its own, so that a database is always of one version or the next.
 *
 * Records have an integer key, as a text key costs a quarter of the rows per second: `id` is the number of the chain
 * (and with it of the trust domain) times 2^40 plus the sequence number. `record_spans` holds the earliest and latest
 * time of each 4,096 of them, which finds a time among millions of records without an index on every row.
 *
 * @module
 */

/** "Apos": says in bytes 68 to 71 of the file whose it is. */
export const applicationId = 0x41_70_6f_73

/** Ids that one chain has at most. */
export const idsPerChain = 2 ** 40
/** Ids that one row of `record_spans` tells of; divides {@link idsPerChain}. */
export const idsPerSpan = 4096

export const migrations: readonly string[] = [
  `
  CREATE TABLE meta (
    trust_domain TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (trust_domain, name)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE documents (
    trust_domain TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (trust_domain, name)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE chains (
    number INTEGER PRIMARY KEY,
    trust_domain TEXT NOT NULL,
    chain TEXT NOT NULL,
    UNIQUE (trust_domain, chain)
  ) STRICT;

  CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    mac BLOB NOT NULL,
    body TEXT NOT NULL
  ) STRICT;

  CREATE TABLE record_spans (
    span INTEGER PRIMARY KEY,
    earliest INTEGER NOT NULL,
    latest INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE record_heads (
    chain INTEGER NOT NULL REFERENCES chains (number),
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('head', 'checkpoint')),
    at INTEGER NOT NULL,
    mac BLOB NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (chain, sequence, kind)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE join_tokens (
    trust_domain TEXT NOT NULL,
    id TEXT NOT NULL,
    authenticator TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    attributes TEXT NOT NULL,
    uses INTEGER NOT NULL,
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    PRIMARY KEY (trust_domain, id),
    UNIQUE (trust_domain, digest)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE proof_claims (
    trust_domain TEXT NOT NULL,
    digest BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (trust_domain, digest)
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX proof_claims_by_expiry ON proof_claims (trust_domain, expires_at);
  `,
]
