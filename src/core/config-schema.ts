/**
 * The shape of the configuration document: keys, types and defaults. What keys mean to each other is `config.ts`.
 *
 * @module
 */
import * as z from 'zod'
import { authenticatorSchema } from './config-authenticators.ts'
import { destinationSchema } from './config-destinations.ts'
import { federationSchema } from './config-federation.ts'
import { durationField, issuerField, trustDomainField } from './config-fields.ts'
import { sourceSchema } from './config-sources.ts'
import { storeField } from './config-store.ts'
import { syncSchema } from './config-syncs.ts'
import { targetSchema } from './config-targets.ts'
import { addressField, cidrField } from './listen-address.ts'

const path = z.string().min(1).max(4096)
export const nameField = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'expected a name of letters, digits, dot, dash and underscore, at most 63',
  )

const listen = z.strictObject({
  address: addressField,
  tls: z
    .union([z.literal('self'), z.literal('off'), z.strictObject({ certificate: path, key: path })], {
      error: 'expected self, off, or {certificate: FILE, key: FILE}',
    })
    .default('self'),
  trusted_proxies: z
    .strictObject({
      from: z.array(cidrField).min(1),
      header: z
        .string()
        .regex(/^[A-Za-z0-9-]{1,64}$/, 'expected the name of a header')
        .default('x-forwarded-for'),
    })
    .optional(),
})

const x509Authority = z.strictObject({
  algorithm: z.enum(['ES256', 'ES384', 'RS256']).default('ES256'),
  ttl: durationField.optional(),
  upstream: z.strictObject({ certificate: path, key: path, bundle: path }).optional(),
})

const jwtAuthority = z.strictObject({
  algorithms: z
    .array(z.enum(['ES256', 'ES384', 'RS256']))
    .min(1)
    .default(['ES256', 'RS256']),
  ttl: durationField.default(7 * 86_400),
  rs256_audiences: z.array(z.string().min(1)).default(['api://AzureADTokenExchange']),
})

const ruleSchema = z.strictObject({
  name: nameField.optional(),
  spiffe_id: z.string().min(1),
  from: z.string().min(1),
  when: z.string().min(1).optional(),
  dns_names: z.array(z.string().min(1)).max(32).default([]),
  audiences: z.array(z.string().min(1).max(2048)).default([]),
  claims: z.record(z.string(), z.unknown()).default({}),
  x509_ttl: durationField.default(3600),
  jwt_ttl: durationField.default(300),
  hint: z.string().min(1).max(1024).optional(),
  renewable_for: durationField.default(86_400),
  max_audiences: z.int().min(1).max(16).default(1),
})

const operation = z.enum(['x509_svid', 'jwt_svid', 'exchange', 'read', 'write', '*'])
const operations = z.union([operation, z.array(operation).min(1)], {
  error: "expected one of x509_svid, jwt_svid, exchange, read, write, '*', or a list of them",
})

const policySchema = z.strictObject({
  name: nameField.optional(),
  permit: operations.optional(),
  forbid: operations.optional(),
  to: z
    .union([nameField, z.literal('*'), z.array(z.union([nameField, z.literal('*')])).min(1)], {
      error: "expected the name of a target, a list of them, or '*'",
    })
    .optional(),
  when: z.string().min(1).optional(),
  reason: z.string().min(1).max(256).optional(),
})

const limits = z.strictObject({
  refusals: z.int().min(0).max(1_000_000).default(1000),
  per_identity: z.int().min(1).max(10_000_000).optional(),
})

/** What goes on while the store is away. */
const outage = z.strictObject({
  documents: durationField.default(86_400),
})
const sealFile = { file: path }
const sealVariable = {
  env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of a variable'),
}
const expectedSeal = { error: 'expected {file: PATH} or {env: NAME}' }
/** Former seal keys, which open and do not seal. */
const also = z
  .array(z.union([z.strictObject(sealFile), z.strictObject(sealVariable)], expectedSeal))
  .max(8)
  .optional()

export const configurationSchema = z.strictObject({
  version: z.literal(1, { error: 'expected 1, the only version there is' }).default(1),
  trust_domain: trustDomainField,
  issuer: issuerField,
  listen,
  admin: z
    .strictObject({
      listen: addressField.default({ kind: 'unix', path: './data/admin.sock' }),
      console: addressField.optional(),
    })
    .prefault({}),
  metrics: z.strictObject({ listen: addressField }).optional(),
  bundle_endpoint: z
    .strictObject({
      address: addressField,
      profile: z.literal('https_spiffe', {
        error: 'expected https_spiffe: the other profile is served by listen, at /v1/bundle',
      }),
    })
    .optional(),
  store: storeField,
  outage: outage.prefault({}),
  seal: z.union([z.strictObject({ ...sealFile, also }), z.strictObject({ ...sealVariable, also })], expectedSeal),
  authorities: z
    .strictObject({
      x509: x509Authority.prefault({}),
      jwt: jwtAuthority.prefault({}),
    })
    .prefault({}),
  authenticators: z.record(nameField, authenticatorSchema).default({}),
  federation: federationSchema,
  identities: z.array(ruleSchema).max(100_000, 'expected a list of at most 100000').default([]),
  targets: z.record(nameField, targetSchema).default({}),
  sources: z.record(nameField, sourceSchema).default({}),
  destinations: z.record(nameField, destinationSchema).default({}),
  syncs: z.record(nameField, syncSchema).default({}),
  policies: z.array(policySchema).max(100_000, 'expected a list of at most 100000').default([]),
  limits: limits.prefault({}),
})

export type ConfigurationDocument = z.output<typeof configurationSchema>

/** The same with unknown keys passed over, which are reported by the whole. */
export const readableRuleSchema = z.object(ruleSchema.shape)
export const readablePolicySchema = z.object(policySchema.shape)

export type RuleDocument = z.output<typeof ruleSchema>
export type SchemaIssue = z.core.$ZodIssue

type Path = readonly PropertyKey[]
type Schema = z.core.$ZodType

export function valueAt(content: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) => (value as Readonly<Record<PropertyKey, unknown>> | undefined)?.[step],
    content,
  )
}

/** The keys that there are at `path`, of the kind of thing that `content` has there. */
export function configurationKeysAt(path: Path, content: unknown): readonly string[] {
  return keysAt(configurationSchema, path, content)
}

function keysAt(schema: Schema, [step, ...rest]: Path, content: unknown): readonly string[] {
  const { def } = (schema as z.core.$ZodTypes)._zod
  const path = step === undefined ? [] : [step, ...rest]
  switch (def.type) {
    case 'optional':
    case 'default':
    case 'prefault':
      return keysAt(def.innerType, path, content)
    case 'pipe':
      return keysAt(def.in, path, content)
    case 'union':
      return [...new Set(optionsFor(def, content).flatMap((option) => keysAt(option, path, content)))]
    case 'object': {
      if (step === undefined) return Object.keys(def.shape)
      const inner = def.shape[String(step)]
      return inner ? keysAt(inner, rest, valueAt(content, [step])) : []
    }
    case 'array':
      return step === undefined ? [] : keysAt(def.element, rest, valueAt(content, [step]))
    case 'record':
      return step === undefined ? [] : keysAt(def.valueType, rest, valueAt(content, [step]))
    default:
      return []
  }
}

function optionsFor(def: z.core.$ZodUnionDef, content: unknown): readonly Schema[] {
  const { discriminator } = def as Partial<z.core.$ZodDiscriminatedUnionDef>
  if (discriminator === undefined) return def.options
  const kind = valueAt(content, [discriminator]) as z.core.util.Primitive
  return def.options.filter((option) => option._zod.propValues?.[discriminator]?.has(kind))
}
