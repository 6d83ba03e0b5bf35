-- A store as this version left it: node test/support/old-store.ts
CREATE SCHEMA apostille;
CREATE TABLE apostille.schema_version (version integer NOT NULL, single boolean PRIMARY KEY DEFAULT true CHECK (single));
INSERT INTO apostille.schema_version (version) VALUES (1);
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
  
INSERT INTO apostille.meta (trust_domain, name, value) VALUES ('example.org', 'purpose', 'serve');
INSERT INTO apostille.documents (trust_domain, name, version, body) VALUES ('example.org', 'records/keys', '1', '{"mac":"v1.JNuoRCYcojEMkV5QWJKGNh_gInGW052q2rKj09Uk7sWpZDQnQgVVY0lM5MPXgNqE2oZFLn60Q_4v-Gxu","key":"v1.d-KvWhIirc-xoqm21m9SSkaWw86Nn-Sm7mWWzfq1mwHhegq61uxOrRJzGNchMQIC-oP-OfXdKezYMLv1xKgwZFKohT3VVX4k9Kn9-DQey-JVgsAuHN0nS_rFEp5zW6pZ541UWgyLVAoqNEExbfj9OeQr6prj--x59p_e2QdCO1WjKCvW0Pli7zkoUYn0-uPE_vwz3ZODf8Q3SKFd1hehM7dAPOPxGQ"}');
INSERT INTO apostille.documents (trust_domain, name, version, body) VALUES ('example.org', 'authorities', '1', '{"sequence":1767268806,"authorities":[{"ring":"x509","algorithm":"ES256","createdAt":"2026-01-01T12:00:06.050Z","slotSeconds":105408000,"leadSeconds":900,"state":"active","activeUntil":"2029-05-05T12:00:06.050Z","expiresAt":"2032-09-06T12:00:06.050Z","keyName":"ebaacc31eafff13a1d17fe780662810a","sealedKey":"v1.shgdwPwmpJweQGZREJkR3LkFYn10vIgD4qlTFQthiEQVQjeupwGAK-0ybSGFIwW0iAFQ98cY4wqLvE47W3CULfZKnU5SnSOWceea9RGPhR1EueLScwcD8U8pmvHRE-bfaG4m-xyoXzKJhYPNazMc4eYb5j6XoxBHeR3CSTeI-UIpkXbdibQJQsDrBXKL2g6Pd5q1AhrBiBehyHQAof1SJwpTX53WGw","publicKey":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE5oIDmD+gw+SwOtPkCOXnehJvz7ZkBBLN/Ipp1jbeZEifu9lZFSNCnd4pA5KXSs3H4eKWaciHQgNoblZIkhrSbQ==","id":"3fc15d20a5d5ae8009ae9f3eb071950ee8dd8896","certificate":"MIICBTCCAaygAwIBAgIQa4G7+4sRFCmJNMSVGywJGjAKBggqhkjOPQQDAjBBMRQwEgYDVQQKDAtleGFtcGxlLm9yZzEpMCcGA1UEBRMgNmI4MWJiZmI4YjExMTQyOTg5MzRjNDk1MWIyYzA5MWEwHhcNMjYwMTAxMTE1NTA2WhcNMzIwOTA2MTIwMDA2WjBBMRQwEgYDVQQKDAtleGFtcGxlLm9yZzEpMCcGA1UEBRMgNmI4MWJiZmI4YjExMTQyOTg5MzRjNDk1MWIyYzA5MWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATmggOYP6DD5LA60+QI5ed6Em/PtmQEEs38imnWNt5kSJ+72VkVI0Kd3ikDkpdKzcfh4pZpyIdCA2huVkiSGtJto4GFMIGCMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBQ/wV0gpdWugAmunz6wcZUO6N2IljAfBgNVHSMEGDAWgBQ/wV0gpdWugAmunz6wcZUO6N2IljAfBgNVHREEGDAWhhRzcGlmZmU6Ly9leGFtcGxlLm9yZzAKBggqhkjOPQQDAgNHADBEAiBpz26yRJzu8F1IYXwoum/RM4n+tqbJ9Dkss7O4VXM5PQIgAKi5zQYdtiL4kwT2pUjHK6cjkYS0VTc/5JBHDrc93Rg="},{"ring":"jwt/ES256","algorithm":"ES256","createdAt":"2026-01-01T12:00:06.050Z","slotSeconds":105408000,"leadSeconds":900,"state":"active","activeUntil":"2029-05-05T12:00:06.050Z","expiresAt":"2032-09-06T12:00:06.050Z","keyName":"671459e960d9e98f15c165c80d361dd9","sealedKey":"v1.AbDDPyzC3HYqvFKigf6HUS85WsB3OxinLZATjcXLodOfnGtqCcs7ZC4nVycZz1GZdWFKVgya9f-C4mRxt69VQUmuJ4BWBV1pxjn_je0BJz6PxRv8P7kzLHHNDFSgi0QpLupZc9W8T3_GHuABi-4ZtbYjqCbJWYy8lfqW-jAzFewBR7rFH8K1YAycGOJx72XePafhvVr6N_tBu2AZDS1U4B2hzcjTCA","publicKey":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4sw2YoraKjNca7NY46l5LG/BrvhxkN8hp3yB0jhbAd2CQgo19ig2/wD4ISECkIIBgg3uVTKHboOD8C5m7wnUUQ==","id":"OQDxeEpovo7cFpp2fQmWdU4gX9-k5kuPHNIQ4y1arwc"},{"ring":"x509","algorithm":"ES256","createdAt":"2026-01-01T12:00:06.050Z","slotSeconds":105408000,"leadSeconds":900,"state":"prepared","expiresAt":"2036-01-09T12:00:06.050Z","keyName":"454b3815c572fa4743fdac1c63c3cb77","sealedKey":"v1.dczFBa81ru2PI4pIqyIHRfSlIORvFpiAUWpKRqQlGwd79d-kaEZnZKD-O9lzXfuM9_SdHf7cAQGPM0zV-2CgGdx1HK3RQMpqaDQFD-moAUDeCEJMiVQoGBVDA7yFE6G2LOnyCUIfpU3-7je7kYYuG1G1wgCWyIdRLJJkPvMSEFftpZJA_WsKqjEJdHPVeU3Q8zGB5iPl_fKAoCfeAeDEaCQxab1fSA","publicKey":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENwcwSTXEfP9Is3iHELxL1V5a14WFOVEk5yftctfiF5J/S3548pDENrCvURIU19VHfUQeZ2MQZkyoJGkbXtyW+Q==","id":"1a19d4af08fbb718be7f8ad5c2298f5b774f5642","certificate":"MIICBzCCAaygAwIBAgIQfJoU23+YA25ooASYsvmB6jAKBggqhkjOPQQDAjBBMRQwEgYDVQQKDAtleGFtcGxlLm9yZzEpMCcGA1UEBRMgN2M5YTE0ZGI3Zjk4MDM2ZTY4YTAwNDk4YjJmOTgxZWEwHhcNMjYwMTAxMTE1NTA2WhcNMzYwMTA5MTIwMDA2WjBBMRQwEgYDVQQKDAtleGFtcGxlLm9yZzEpMCcGA1UEBRMgN2M5YTE0ZGI3Zjk4MDM2ZTY4YTAwNDk4YjJmOTgxZWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ3BzBJNcR8/0izeIcQvEvVXlrXhYU5USTnJ+1y1+IXkn9LfnjykMQ2sK9REhTX1Ud9RB5nYxBmTKgkaRte3Jb5o4GFMIGCMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBQaGdSvCPu3GL5/itXCKY9bd09WQjAfBgNVHSMEGDAWgBQaGdSvCPu3GL5/itXCKY9bd09WQjAfBgNVHREEGDAWhhRzcGlmZmU6Ly9leGFtcGxlLm9yZzAKBggqhkjOPQQDAgNJADBGAiEAizcI0R+YFi8u1uLJ3boPJMwO1qZ9SF/g5iXcRtdBAwgCIQDaPLkDZm6YDpu8uYq8C5u8RZW8N8B/QqNTwPaKct9lAg=="},{"ring":"jwt/ES256","algorithm":"ES256","createdAt":"2026-01-01T12:00:06.050Z","slotSeconds":105408000,"leadSeconds":900,"state":"prepared","expiresAt":"2036-01-09T12:00:06.050Z","keyName":"1b4db2dac4f19104418b67d5a3a37a69","sealedKey":"v1.8lUPoE3F9u5RUx5J0vxQQORhPMPnB5oZ2MHk4m1WNcrvGJ0Bf0bb4RxpGu2lPXe2R7WZuiYRDaCxqqtsijJMNpq1UW1OqVf6fDS81tcJowFn1zeterObHOGf4GTXZR2BnzoLOIdNvcML3l3XxWuT2jl5ZbpGTBIhcy36H0iMC8YB5O-Mxy_dIIgWfPoHAKQ49SESuoA7N7B7J2e12NTiyUL8RsN33g","publicKey":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdc2LB0km/7Pv8K03eLNn2+yZkj1+QgPAIhVp/UrW4IbCbb8UrMwg01+Qh0ih7Fs3Edi528wvBYezQs2vGwIkCw==","id":"n92Rw-2Iz8WdLI3_iibvqTULs9E5W2ou8oLJfkCtReA"}]}');
INSERT INTO apostille.documents (trust_domain, name, version, body) VALUES ('example.org', 'kv/team/db', '1', '{"metadata":"v1.LXga3Cn8-up6jkrxqBe0ZtxcoJXs2lsCtvK85swJlnRGtgvRCYVmHrXHbxcXduiovj6S2iQAuYUzmPHZ2cSl-I6vz0buQ1Q1hFsUfxnl78Eni4JbhWGeEHyMPBkZT9nRqba6otnBikM5oRCYjSxvDNQ-Ka-d8M3oVhgh69aRov4LQTXHcCgPxZnXoJVlbdZrm4JqTGoYhm7rDoQ46Jm2itUgrpz0r1O1Svrqe_V1lR9RIRFAFcMNwWhVki3JohNe76CCPuoZZY6ivzOyw3ixviPK9IUU25z37jbSCDL0rgiXmUnB9ZKLygbyTMsDc5h6LLU-_AzZFQ","data":{"1":"v1.GPIGuBHC2uTwmqci6bc2GilNvvVbG-mrtAvn3AeF9d07LHga7EXTHLxleIM6XII"}}');
INSERT INTO apostille.documents (trust_domain, name, version, body) VALUES ('example.org', 'chains/84448bb1', '2', '');
INSERT INTO apostille.chains (number, trust_domain, chain) OVERRIDING SYSTEM VALUE VALUES ('1', 'example.org', '84448bb1');
INSERT INTO apostille.records (chain, sequence, at, mac, body) VALUES ('1', '1', '1767268806960', '\xd6c4e2ea0df10671fe916ba7195fb5a9238794467567f395424a5a935812be9f', '{"time":"2026-01-01T12:00:06.960Z","request_id":"924c7e5b6e4aa20afdcc5e96","operation":"join_token.create","decision":"granted","details":{"authenticator":"first","expires_at":"2026-01-01T13:00:06.959Z","id":"fd8052b4a46396d8","name":"web","uses":2}}');
INSERT INTO apostille.records (chain, sequence, at, mac, body) VALUES ('1', '2', '1767268807185', '\xeb0acfe2cd7ecceb1689d2d7ec71ed288793c0189c8f9c52538dc2b1eee4c3dc', '{"time":"2026-01-01T12:00:07.185Z","request_id":"ba838bfffa5569b1691a9cf9","operation":"jwt_svid","decision":"granted","reason":"granted by rule 9f589c29e9b6","authenticator":"first","attributes":{"attributes":{},"id":"fd8052b4a46396d8","name":"web"},"spiffe_id":"spiffe://example.org/vm/web","rule":"9f589c29e9b6","address":"","document":"77632f2c7d19baa68db77955e5199516d8cc435fe761a751a4f37d7d7dbb2bb5","proof":"41d25b4c1648833b","issued":{"expires_at":"2026-01-01T12:05:07.000Z","jti":"8uhx1brgHz8uBv8uQKSZmw","kid":"OQDxeEpovo7cFpp2fQmWdU4gX9-k5kuPHNIQ4y1arwc","audience":["x"]}}');
INSERT INTO apostille.records (chain, sequence, at, mac, body) VALUES ('1', '3', '1767268807257', '\xfa98f0de4b2236499bc2921b5af1e56e6edb2973f281dcc7ab72eb5e8a292fd1', '{"time":"2026-01-01T12:00:07.257Z","request_id":"85609e7d471173dbd00a4982","operation":"kv.write","decision":"granted","details":{"path":"team/db","version":1}}');
INSERT INTO apostille.record_heads (chain, sequence, kind, at, mac, signature) VALUES ('1', '3', 'head', '1767268807294', '\xfa98f0de4b2236499bc2921b5af1e56e6edb2973f281dcc7ab72eb5e8a292fd1', '\x30440220122973df1ef6e1cafd2de7d4f58ca093e39e48bee7ce7aca40bbb3a904dc50320220010a00def02bb0ec932cb13c3f86a4bacf65724e7d4911334aad4abdd4e3037b');
INSERT INTO apostille.join_tokens (trust_domain, id, authenticator, name, digest, attributes, uses, uses_left, created_at, expires_at, revoked_at) VALUES ('example.org', 'fd8052b4a46396d8', 'first', 'web', '\x41d25b4c1648833b0c30f3514ad6fec650cbdba01c0af74dcc38e65555b6abe0', '{}', '2', '1', '1767268806959', '1767272406959', NULL);
SELECT setval('apostille.chains_number_seq', 1000);
