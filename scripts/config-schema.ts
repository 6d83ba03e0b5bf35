/**
 * Makes the JSON Schema of the configuration document, for editors.
 *
 * What parts mean to each other, and expressions, are checked by `apostille check` alone.
 *
 * @module
 */
import * as z from 'zod'
import { federationPeerSchema, trustDomainKey } from '../src/core/config-federation.ts'
import { issuerField, trustDomainField } from '../src/core/config-fields.ts'
import { configurationSchema } from '../src/core/config-schema.ts'
import { addressField, cidrField } from '../src/core/listen-address.ts'
import { describeKeys } from './docs/configuration-keys.ts'

type Json = z.core.JSONSchema.BaseSchema

/** What our own checks want, as far as a pattern can say it. Nothing that they take may be refused by it. */
const said = new Map<z.core.$ZodType, Json>([
  [trustDomainField, { pattern: '^[a-z0-9._-]{1,255}$' }],
  [trustDomainKey, { pattern: '^[a-z0-9._-]{1,255}$' }],
  [issuerField, { pattern: '^https://[^/?#@\\s]+[^?#@\\s]*$' }],
  [addressField, { pattern: '^(?:unix:.+|(?:\\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\\]|[A-Za-z0-9.-]+):\\d{1,5})$' }],
  [cidrField, { pattern: '^[0-9A-Fa-f:.]+/\\d{1,3}$' }],
  [federationPeerSchema, { dependentRequired: { endpoint: ['profile'], profile: ['endpoint'] } }],
])

/** The same of a field in one place. */
const saidAt = new Map<string, Json>([['properties/admin/properties/listen', { pattern: '^unix:.+' }]])

export function buildConfigSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(configurationSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema, path }) => {
      const { def } = zodSchema._zod
      // A key that tells kinds apart by its absence.
      if (def.type === 'undefined') jsonSchema.not = {}
      else if (Object.keys(jsonSchema).length === 0 && def.type !== 'unknown')
        throw new Error(`JSON Schema can not say ${def.type}: ${path.join('.')}`)
      if (jsonSchema.format === 'uri' && 'protocol' in def) jsonSchema.pattern = '^https:'
      Object.assign(jsonSchema, said.get(zodSchema), saidAt.get(path.join('/')))
    },
  })
  describeKeys(schema)
  return { $schema, title: 'Configuration of Apostille', ...schema }
}
