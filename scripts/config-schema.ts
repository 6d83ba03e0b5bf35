/**
 * Writes the JSON Schema of the configuration document, for editors: `node scripts/config-schema.ts`.
 *
 * What parts mean to each other, and expressions, are checked by `apostille check` alone.
 *
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { configurationSchema } from '../src/core/config-schema.ts'

export const configSchemaFile = join(import.meta.dirname, '..', 'schema', 'apostille.schema.json')

export function buildConfigSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(configurationSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema, path }) => {
      const { type } = zodSchema._zod.def
      // A key that tells kinds apart by its absence.
      if (type === 'undefined') jsonSchema.not = {}
      else if (Object.keys(jsonSchema).length === 0 && type !== 'unknown')
        throw new Error(`JSON Schema can not say ${type}: ${path.join('.')}`)
    },
  })
  return { $schema, title: 'Configuration of Apostille', ...schema }
}

if (import.meta.main) writeFileSync(configSchemaFile, `${JSON.stringify(buildConfigSchema(), null, 2)}\n`)
