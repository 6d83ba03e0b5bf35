-- A store as this version left it: node test/support/old-store.ts
PRAGMA application_id = 1097887603;
PRAGMA user_version = 2;
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
CREATE TABLE proof_claims (
    trust_domain TEXT NOT NULL,
    digest BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (trust_domain, digest)
  ) STRICT, WITHOUT ROWID;
CREATE INDEX proof_claims_by_expiry ON proof_claims (trust_domain, expires_at);
INSERT INTO meta (trust_domain, name, value) VALUES ('example.org', 'purpose', 'serve');
INSERT INTO documents (trust_domain, name, version, body) VALUES ('example.org', 'authorities', 1, '{"sequence":1767268805,"authorities":[{"ring":"x509","algorithm":"ES256","createdAt":"2026-01-01T12:00:05.538Z","slotSeconds":105408000,"leadSeconds":900,"state":"active","activeUntil":"2029-05-05T12:00:05.538Z","expiresAt":"2032-09-06T12:00:05.538Z","keyName":"0b2f331020121067e9cd4d19af082262","sealedKey":"v1.EdT9BIgeMc9lVQx2R-sjh1lYoJwh9pDwbGgVNMpTrarHT64GwBdv3UMHsm0t-89kPtezn051NniNDnj2nfrDVGaYugujzS8_5xq9UkqxChSZGT763soFLPb8DLOCBJt9DVdPbRB5LwJ0IpmfeaYEdg1bv-FSNA7VdCnUiB02vEGg5Mr36shzO1Xuzja5fQsLM-iBTsVPxeDy_FeKaB6OtZDCib8o6g","publicKey":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHrLdybwrkRVevNO7Vvr6iW/kR/M5Rl7s+kXmeQen0JA/gdxEAkzYmPWIKewE9pC+GSCrrG23TfwFg/p8yM9oCQ==","id":"5364e41766556c5a9bf0d0924328f6cdbbec5e21","certificate":"MIICBjCCAaygAwIBAgIQYLd7XBbca9Xi+3Lg2l1AtzAKBggqhkjOPQQDAjBBMRQwEgYDVQQKDAtleGFtcGxlLm9yZzEpMCcGA1UEBRMgNjBiNzdiNWMxNmRjNmJkNWUyZmI3MmUwZGE1ZDQwYjcwHhcNMjYwMTAxMTE1NTA1WhcNMzIwOTA2MTIwMDA1WjBBMRQwEgYDVQQKDAtleGFtcGxlLm9yZzEpMCcGA1UEBRMgNjBiNzdiNWMxNmRjNmJkNWUyZmI3MmUwZGE1ZDQwYjcwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQest3JvCuRFV6807tW+vqJb+RH8zlGXuz6ReZ5B6fQkD+B3EQCTNiY9Ygp7AT2kL4ZIKusbbdN/AWD+nzIz2gJo4GFMIGCMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBRTZOQXZlVsWpvw0JJDKPbNu+xeITAfBgNVHSMEGDAWgBRTZOQXZlVsWpvw0JJDKPbNu+xeITAfBgNVHREEGDAWhhRzcGlmZmU6Ly9leGFtcGxlLm9yZzAKBggqhkjOPQQDAgNIADBFAiBS4MpUd06zWy5jvubRUWQi9eC5VRbMX2BiFbhqYoCGDwIhAN83xOWjI82+e1XQ1C80Ga+pV6QxaGitEeD7+Z4oYY41"},{"ring":"jwt/ES256","algorithm":"ES256","createdAt":"2026-01-01T12:00:05.538Z","slotSeconds":105408000,"leadSeconds":900,"state":"active","activeUntil":"2029-05-05T12:00:05.538Z","expiresAt":"2032-09-06T12:00:05.538Z","keyName":"512a50be4651583d33036893f6388605","sealedKey":"v1.RDnZiKaVRrt8iXVIFQvnmVEz4qT01DbY8YcKJXELk2QyRTtnhcUGIydfKkeC6g1-6RUemHBN6AIfbFsxYU3Aln26Gy3kl5-rQCMNGaeM_V6ub00IlJcn9kG6Q6h2J7lIZRdID1UBGOyXYgvoP4RT2qFlHKvxCu2cDkfmpdyzkOrrPUYOpPSupAgEAqvdI4GwSSdmGrBS4hFKPmZL8iOTwzrghaMf5Q","publicKey":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELESK3IzN6hNFdbvi+mO4uQmEu2chjilx+bmybo96d4g6v3tnlSCk4x5nHTv3rh/F+gVEZbS7bqd//tGgr/J7Qg==","id":"V_9GBmTEgjUu4do5RgDQf_NH4WqF3tH5VmoqABw8kLc"},{"ring":"x509","algorithm":"ES256","createdAt":"2026-01-01T12:00:05.538Z","slotSeconds":105408000,"leadSeconds":900,"state":"prepared","expiresAt":"2036-01-09T12:00:05.538Z","keyName":"df527c3f312516c3b9c2ce49e07f5bf7","sealedKey":"v1.X1eqNVei7UMy5VbvLaj9Dk8hdeaPKVzJl9Xv3-S1rFII43nzxtGJ-eTOl5Bm1P0ms8y3l4BSEetiMcBdyKqpduz5ZbwNaWBIMTvf0V8e8KCwo7m8A1Xu8yS-tQ9L9dILST711YM7He_o7p0Byf-_wnQOqOrTMxASFJ_58aIT_f42M-MGQdOiatgOdFM_B6lkSzPH9cE1aL_TlFRvESVsYh0guBlRkw","publicKey":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEtypz1Aho4wARTUkTsyEHg+a7ZSMeTr2sxoaJLRhEGVmPxOHhFYsGyrgVqYFK9TWviQFV54l/UujF+s4ShlJOPg==","id":"927ebe3ace4a0b0c1189b5a8e3c3b0eec4fa4a78","certificate":"MIICBjCCAaygAwIBAgIQQTkck+TsoHIf/wY4EhmD3jAKBggqhkjOPQQDAjBBMRQwEgYDVQQKDAtleGFtcGxlLm9yZzEpMCcGA1UEBRMgNDEzOTFjOTNlNGVjYTA3MjFmZmYwNjM4MTIxOTgzZGUwHhcNMjYwMTAxMTE1NTA1WhcNMzYwMTA5MTIwMDA1WjBBMRQwEgYDVQQKDAtleGFtcGxlLm9yZzEpMCcGA1UEBRMgNDEzOTFjOTNlNGVjYTA3MjFmZmYwNjM4MTIxOTgzZGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS3KnPUCGjjABFNSROzIQeD5rtlIx5OvazGhoktGEQZWY/E4eEViwbKuBWpgUr1Na+JAVXniX9S6MX6zhKGUk4+o4GFMIGCMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBSSfr46zkoLDBGJtajjw7DuxPpKeDAfBgNVHSMEGDAWgBSSfr46zkoLDBGJtajjw7DuxPpKeDAfBgNVHREEGDAWhhRzcGlmZmU6Ly9leGFtcGxlLm9yZzAKBggqhkjOPQQDAgNIADBFAiEAgFcBbIOZJvO2n+YIthj7vUpnkJutJ94pzDcnCubRDAcCIBEiHg+990IVl9cT66ETzxF/WBcgBJ2f58LX+m71nx0F"},{"ring":"jwt/ES256","algorithm":"ES256","createdAt":"2026-01-01T12:00:05.538Z","slotSeconds":105408000,"leadSeconds":900,"state":"prepared","expiresAt":"2036-01-09T12:00:05.538Z","keyName":"9a207f6419e805c7c1d6583374fe0e61","sealedKey":"v1.wXatsK39sxIBQaDeflD4x_AD-FM0BYnax3U66BOFkTm9tft9EUkTSqbTEZ-cGAPTr7v442lVdKr4tYDN0DZhWhM8YATDe9fsWBfqZulypeeUL_9lXr8S6Q4-ep5kMSM5-nGzcGo69dIBgqb57Tvl2m828Rs9-Y3M2u0DyiXhvxv6cPYnEwUN6H2MhOhftsEFDsiCGLsJTtBgn1oQ5NNnF9iWQueoew","publicKey":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESUReQfo9T0qss8Uq1MGIz6g8FFXCNRO+ALNZRY3NhyXCwWOlV55UUdA0y2nf7gM0VIWbPD2YGPdlzP8rC6LEOg==","id":"5wiXl-zI8H1HFmofdsTnRJ2RzxoBfURi1WNyijITlaQ"}]}');
INSERT INTO documents (trust_domain, name, version, body) VALUES ('example.org', 'kv/team/db', 1, '{"metadata":"v1.MuYEL0YTsDnxn-0RH8MjV0T7jfEeXARFS5pRY4CfULaJU0RXA1PnZzDliYIjK5x8mfuoz643Y0m5kP_APQekgB5UOZI8ipzpqy-GozsZ272466Ls5QAW3HpFKY0PJEhOfob9U6dtQf9-lB56I23Ln_GCOtdy35mPmfZFAxt3PxKDUxvVjPFXoD5ee_yKtO4R70GzfkA5dPTo8H7_o8JZjht05PJU3pUevAnN9HuZzW99HZYv--6UdoAQMLtaYjDV43gV1p5oS_t3H1RzOiFvlBAGFyG_ZM5vIDqaNVR1FG8XPLkKxJZcH2LV_DKBYB_svKyfwESghQ","data":{"1":"v1.syZueIIhln8HgOQ_u2Vv_PKD0HmEDnBFx5UbSOpnQAHjG9AP_irFK6X5MjH2xD4"}}');
INSERT INTO documents (trust_domain, name, version, body) VALUES ('example.org', 'records/keys', 1, '{"mac":"v1.kUm2roRaFEPUZZ40s6A9Z28TugaFH8n2wtrtitfSlcnpwkdphFp5xPkOwzsELzC0F-guTmPSA0U51xLt","key":"v1.Rzpl08Hf8HeRhGt-oGSffOtzg_DntmiVJhunnDwamu5pdklUcSx6lh47RTcWcVazhDRUGDs43LtSydzYau7e-eYoXemYurQglpP_rnA1L2JeiOx0Cch_ZJjt63b68KhUarqtukDwZx7IYEBpF9aYjyv16vZpS6IbxRsad7k06l5z3zeOvqyOrQPYkexDYWfya3bV8DrhGY6nBnoiMbaBRQeRmBcOkg"}');
INSERT INTO chains (number, trust_domain, chain) VALUES (1, 'example.org', 'main');
INSERT INTO records (id, at, mac, body) VALUES (1099511627777, 1767268805884, x'2a817c4a644590ad55256d0b25ed01378fed7a7026e2761b56769ad86c012932', '{"time":"2026-01-01T12:00:05.884Z","request_id":"da8d42d067d3fe16dc682d6e","operation":"join_token.create","decision":"granted","details":{"authenticator":"first","expires_at":"2026-01-01T13:00:05.884Z","id":"0ec7e20ab91ec843","name":"web","uses":2}}');
INSERT INTO records (id, at, mac, body) VALUES (1099511627778, 1767268805973, x'8e3a9bc381568e61488843480f59c9bba2937af9ab0aad1ce39d2b2494998fd3', '{"time":"2026-01-01T12:00:05.973Z","request_id":"735a2e91a72197eba0d2bd50","operation":"jwt_svid","decision":"granted","reason":"granted by rule 9f589c29e9b6","authenticator":"first","attributes":{"attributes":{},"id":"0ec7e20ab91ec843","name":"web"},"spiffe_id":"spiffe://example.org/vm/web","rule":"9f589c29e9b6","address":"","document":"b334e31c4538ae3ae1e96dc1bb874fcafa9493332bb0c25b04b663fdea839954","proof":"b832fb3a64be8679","issued":{"expires_at":"2026-01-01T12:05:05.000Z","jti":"uKysdPFmPoNQvov3QGrDHA","kid":"V_9GBmTEgjUu4do5RgDQf_NH4WqF3tH5VmoqABw8kLc","audience":["x"]}}');
INSERT INTO records (id, at, mac, body) VALUES (1099511627779, 1767268806026, x'54b8fbbf87e43a4817af8d23a25632e19a9039de012827518d2a29787cba6598', '{"time":"2026-01-01T12:00:06.026Z","request_id":"7e5ff3923fb70d49aefc857a","operation":"kv.write","decision":"granted","details":{"path":"team/db","version":1}}');
INSERT INTO record_spans (span, earliest, latest) VALUES (268435456, 1767268805884, 1767268806026);
INSERT INTO record_heads (chain, sequence, kind, at, mac, signature) VALUES (1, 3, 'head', 1767268806035, x'54b8fbbf87e43a4817af8d23a25632e19a9039de012827518d2a29787cba6598', x'30460221009c554ddf825f4bd121c051750ccfda60b43b55c0d840e220ea416681d6f471b7022100836dd91e39a92dc510d296ab17feb07e8f48fd49c7bf7ee2ff98f1219a4e9983');
INSERT INTO join_tokens (trust_domain, id, authenticator, name, digest, attributes, uses, uses_left, created_at, expires_at, revoked_at) VALUES ('example.org', '0ec7e20ab91ec843', 'first', 'web', x'b832fb3a64be8679df37a0c0ea1115be98fe3bb5346c9c5c7a2c279e6d0a06a0', '{}', 2, 1, 1767268805884, 1767272405884, NULL);
