/**
 * What each command writes with `--output json`: the shapes that programs can rely on. Members are added, never removed or
 * changed, within a major version. Tests hold every output that they see against these.
 *
 * @module
 */
import * as z from 'zod'
import {
  syncCountsDocument,
  syncDocument,
  syncFaultDocument,
  syncStatusDocument,
} from '../src/http/openapi/sync-documents.ts'

const time = z.iso.datetime({ offset: true }).describe('RFC 3339')
const text = z.string()
const count = z.int().min(0)
const texts = z.array(text)
const anything = z.record(text, z.unknown())
const file = z.strictObject({ file: text })
const next = text.nullable().describe('for --after; null at the end')

const authority = z.strictObject({
  id: text,
  ring: text.describe('x509, or jwt/ and its algorithm'),
  algorithm: text,
  state: z.enum(['prepared', 'active', 'retiring']),
  created_at: time,
  active_until: time.optional(),
  expires_at: time,
  tainted_at: time.optional(),
  upstream: z.boolean(),
})

const joinToken = z.strictObject({
  id: text,
  authenticator: text,
  name: text,
  attributes: z.record(text, text),
  uses: count,
  uses_left: count,
  created_at: time,
  expires_at: time,
  revoked_at: time.optional(),
})

const peer = z.strictObject({
  trust_domain: text,
  endpoint: text.optional(),
  profile: text.optional(),
  endpoint_spiffe_id: text.optional(),
  sequence: text.optional(),
  refresh_hint_seconds: count.optional(),
  x509_authorities: count,
  jwt_authorities: count,
  source: text.optional(),
  confirmed_at: time.optional(),
  next_poll_at: time.optional(),
  failures: count,
  problem: text.optional(),
  bundle: text.optional(),
})

const record = z.strictObject({
  chain: text,
  sequence: count,
  time,
  request_id: text.optional(),
  operation: text,
  decision: z.enum(['granted', 'refused']),
  code: text.optional(),
  reason: text.optional(),
  authenticator: text.optional(),
  attributes: anything.optional(),
  spiffe_id: text.optional(),
  rule: text.optional(),
  policy: text.optional(),
  target: text.optional(),
  address: text.optional(),
  document: text.optional().describe('digest of the configuration that decided'),
  proof: text.optional().describe('fingerprint'),
  issued: z
    .strictObject({
      expires_at: time,
      serial_number: text.optional(),
      jti: text.optional(),
      kid: text.optional(),
      audience: texts.optional(),
      credential_id: text.optional(),
    })
    .optional(),
  notes: texts.optional(),
  details: anything.optional(),
})

const finding = z.strictObject({
  code: text.describe('stable'),
  severity: z.enum(['error', 'warning']),
  message: text,
  remedy: text,
})

const part = z
  .strictObject({
    text,
    value: z.enum(['true', 'false', 'failed']),
    problem: text.optional(),
    read: anything.optional().describe('values that it read, by path'),
    joins: z.enum(['all', 'any', 'not']).optional(),
    get parts(): z.ZodOptional<z.ZodArray<z.ZodType>> {
      return z.array(part).optional()
    },
  })
  .meta({ id: 'Part' })

const explanation = z.strictObject({
  document: text.describe('digest of the configuration in use'),
  same_document: z.boolean().optional(),
  record: anything.optional(),
  request: anything.optional(),
  proof: z.strictObject({ authenticator: text, type: text, use: text, attributes: anything }).optional(),
  refused: z.strictObject({ code: text, reason: text }).optional(),
  unexplained: text.optional(),
  rules: z
    .array(
      z.strictObject({
        name: text,
        applies: z.boolean(),
        spiffe_id: text.optional(),
        notes: texts,
        when: part.optional(),
      }),
    )
    .optional(),
  other_rules: count.optional(),
  policies: z
    .array(
      z.strictObject({
        name: text,
        effect: z.enum(['permit', 'forbid']),
        applies: z.boolean(),
        passed_over: text.optional(),
        when: part.optional(),
      }),
    )
    .optional(),
  decision: z
    .strictObject({
      granted: z.boolean(),
      code: text.optional(),
      reason: text,
      spiffe_id: text.optional(),
      rule: text.optional(),
      policy: text.optional(),
      notes: texts,
    })
    .optional(),
})

const versionFacts = {
  version: count,
  created_time: time,
  deletion_time: z.union([z.literal(''), time]),
  destroyed: z.boolean(),
  custom_metadata: z.record(text, text).nullable(),
}

const changedVersions = z.strictObject({ path: text, versions: z.array(count).optional(), done: text })
const changedAuthority = authority
const federatedPeer = z.union([peer, file])
const plannedChange = syncFaultDocument.partial().extend({
  destination: text,
  action: z.enum(['create', 'update', 'adopt', 'repair', 'mark', 'delete', 'problem']),
  version: text.optional(),
  origin: text.optional(),
})

const inFile = text.optional().describe('without --out')
const written = text.optional().describe('with --out')
const cloudProof = z.strictObject({ token: inFile, audience: text, expires_at: time.optional(), file: written })
const trust = z.looseObject({
  target: text,
  type: z.enum(['aws', 'azure', 'gcp']),
  issuer: text,
  audience: text,
  subjects: texts,
  warnings: z.array(finding),
})
const addresses = z.strictObject({ listen: text, admin: text, metrics: text.optional() })

/** By command. Absent: what it writes is told in its help. */
export const commandOutputs = {
  init: z.strictObject({ file: text, trust_domain: text, issuer: text, for: texts, next: texts }),
  dev: z.strictObject({
    server: text,
    trust_domain: text,
    admin: text,
    config: text,
    ca_file: text,
    token_file: text,
    token_expires_at: time,
    endpoints: z.record(text, text),
    commands: z.array(z.strictObject({ title: text, command: text })),
  }),
  serve: addresses,
  check: z.strictObject({
    ok: z.boolean(),
    file: text,
    document: text.nullable().describe('SHA-256 of the text'),
    diagnostics: z.array(
      z.strictObject({
        severity: z.enum(['error', 'warning']),
        line: count,
        column: count,
        path: text,
        message: text,
      }),
    ),
  }),
  'svid jwt': z.strictObject({ spiffe_id: text, token: inFile, expires_at: time, file: written }),
  'svid x509': z.strictObject({
    spiffe_id: text,
    serial_number: text,
    expires_at: time,
    files: z.record(text, text),
  }),
  identities: z.strictObject({
    items: z.array(
      z.strictObject({
        spiffe_id: text,
        hint: text.optional(),
        audiences: texts,
        dns_names: texts,
        x509_ttl_seconds: count.optional(),
        jwt_ttl_seconds: count.optional(),
      }),
    ),
    next,
  }),
  'proof aws': cloudProof,
  'proof azure': cloudProof,
  'proof gcp': cloudProof,
  credentials: z.looseObject({}).describe('as --format says'),
  bundle: z.union([file, z.looseObject({ keys: z.array(anything) }), z.strictObject({ pem: text })]),
  'join-token create': joinToken.extend({ token: inFile, file: written }),
  'join-token list': z.strictObject({ items: z.array(joinToken), next }),
  'join-token revoke': joinToken,
  'authority list': z.strictObject({ items: z.array(authority), next }),
  'authority prepare': changedAuthority,
  'authority activate': changedAuthority,
  'authority taint': changedAuthority,
  'authority revoke': changedAuthority,
  'authority sign-intermediate': z.looseObject({ certificate: text, expires_at: time, signed_by: text }),
  'trust aws': trust,
  'trust azure': trust,
  'trust gcp': trust,
  'federation list': z.strictObject({ items: z.array(peer), next }),
  'federation show': federatedPeer,
  'federation refresh': federatedPeer,
  'federation import': z.strictObject({
    trust_domain: text,
    file: text,
    x509_authorities: count,
    jwt_authorities: count,
    loaded: z.boolean(),
  }),
  'federation export': z.union([file, z.looseObject({ keys: z.array(anything) })]),
  'kv put': z.strictObject({ path: text, ...versionFacts }),
  'kv get': z.unknown().describe('with --field the value of the field'),
  'kv list': z.strictObject({ keys: texts, next }),
  'kv history': z.looseObject({ path: text, current_version: count }),
  'kv delete': changedVersions,
  'kv undelete': changedVersions,
  'kv destroy': changedVersions,
  'kv configure': z.looseObject({ path: text }),
  'kv purge': changedVersions,
  'sync list': z.strictObject({ items: z.array(syncDocument), next }),
  'sync plan': z.strictObject({
    items: z.array(plannedChange),
    planned: z
      .record(text, z.strictObject({ state: text, counts: syncCountsDocument.optional(), error: text.optional() }))
      .describe('by destination'),
  }),
  'sync apply': syncStatusDocument,
  'sync status': z.union([z.strictObject({ items: z.array(syncDocument) }), syncDocument]),
  'records list': z.strictObject({ items: z.array(record), next }),
  'records verify': z.strictObject({
    ok: z.boolean(),
    chains: z.array(
      z.strictObject({
        chain: text,
        records: count,
        first_sequence: count.optional(),
        last_sequence: count.optional(),
        pruned_up_to: count.optional(),
        heads: count,
        findings: z.array(z.strictObject({ kind: text, chain: text, sequence: count, last: count.optional() })),
        findings_count: count,
      }),
    ),
  }),
  'records export': file.describe('with --out; else the lines themselves'),
  'records prune': z.strictObject({ removed: count }),
  'records key': z.strictObject({ public_key: text }),
  'seal rotate': z.strictObject({ key: text, resealed: count, former_key_file: text.optional() }),
  backup: z.strictObject({ file: text, bytes: count }),
  restore: z.strictObject({
    store: text,
    trust_domain: text,
    backup_at: time,
    old_authorities_trusted: z.boolean(),
    join_tokens_voided: count,
    bundle_sequence: count,
    authorities: z.array(z.strictObject({ id: text, ring: text, state: text })),
  }),
  explain: z.strictObject({ items: z.array(explanation) }),
  doctor: z.strictObject({
    target: text.nullable(),
    ok: z.boolean(),
    checks: z.array(
      z.strictObject({
        name: text.describe('stable'),
        verdict: z.enum(['pass', 'warn', 'fail', 'skip']),
        seen: text,
        findings: z.array(finding),
      }),
    ),
  }),
  reload: z.strictObject({
    applied: z.boolean(),
    digest: text,
    problems: z.array(
      z.strictObject({
        severity: z.enum(['error', 'warning']).optional(),
        line: count.optional(),
        column: count.optional(),
        path: text.optional(),
        message: text,
      }),
    ),
  }),
  completion: z.strictObject({ shell: text, script: text }),
} as const satisfies Readonly<Record<string, z.ZodType>>

/** Each line of `records follow`. */
export const recordLine = record

/** On standard error, whichever command failed. */
export const errorOutput = z.strictObject({
  error: z.strictObject({
    code: text.describe('stable'),
    message: text,
    hint: text.optional(),
    request_id: text.optional(),
    diagnostics: z.unknown().optional(),
  }),
})

export function buildOutputSchema() {
  const definitions: Record<string, unknown> = {}
  const add = (name: string, schema: z.ZodType) => {
    const { $schema: _, $defs, ...rest } = z.toJSONSchema(schema, { unrepresentable: 'any' })
    Object.assign(definitions, { [name]: rest }, $defs)
  }
  for (const [path, schema] of Object.entries(commandOutputs)) add(path, schema)
  add('records follow', recordLine)
  add('error', errorOutput)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'What the commands of Apostille write with --output json',
    $defs: definitions,
  }
}
