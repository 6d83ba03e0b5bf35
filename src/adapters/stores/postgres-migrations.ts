/**
 * The tables of a PostgreSQL store, one step per schema version: entry 0 makes version 1 out of nothing. Steps are only
 * ever added, and each leaves what older programs read and write as it is: while replicas are replaced one by one, both
 * run. All are in a schema of their own, so that the database may hold other things as well.
 *
 * The number of a chain stands for its trust domain, too: a text in the key would make every record's row and its entry
 * in the index half as large again. Records lie in the order of their times, so the ranges of a BRIN index find a time
 * at next to no cost for each row.
 *
 * @module
 */

/** "Apos", as in the files of SQLite: the advisory lock under which the schema changes. */
export const schemaLock = 0x41_70_6f_73

export const postgresMigrations: readonly string[] = [
  `
  CREATE TABLE apostille.meta (
    trust_domain text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (trust_domain, name)
  );

  CREATE TABLE apostille.documents (
    trust_domain text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (trust_domain, name)
  );

  CREATE TABLE apostille.chains (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trust_domain text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    UNIQUE (trust_domain, chain)
  );

  CREATE TABLE apostille.records (
    chain bigint NOT NULL,
    sequence bigint NOT NULL,
    at bigint NOT NULL,
    mac bytea NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (chain, sequence)
  );

  CREATE INDEX records_by_time ON apostille.records USING brin (at) WITH (pages_per_range = 32);

  CREATE TABLE apostille.record_heads (
    chain bigint NOT NULL REFERENCES apostille.chains (number),
    sequence bigint NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('head', 'checkpoint')),
    at bigint NOT NULL,
    mac bytea NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (chain, sequence, kind)
  );

  CREATE TABLE apostille.join_tokens (
    trust_domain text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    authenticator text NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL,
    attributes text NOT NULL,
    uses bigint NOT NULL,
    uses_left bigint NOT NULL CHECK (uses_left >= 0),
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint,
    PRIMARY KEY (trust_domain, id),
    UNIQUE (trust_domain, digest)
  );

  CREATE TABLE apostille.proof_claims (
    trust_domain text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (trust_domain, digest)
  );

  CREATE INDEX proof_claims_by_expiry ON apostille.proof_claims (trust_domain, expires_at);
  `,
]
