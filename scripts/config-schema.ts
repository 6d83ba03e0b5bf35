/**
 * Makes the JSON Schema of the configuration document, for editors.
 *
 * What parts mean to each other, and expressions, are checked by `apostille check` alone.
 *
 * @module
 */
import * as z from 'zod'
import { configurationSchema } from '../src/core/config-schema.ts'

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
