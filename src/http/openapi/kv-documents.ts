/**
 * Our own secrets, as KV v2 has them.
 *
 * @module
 */
import * as z from 'zod'
import { next, text, time } from './fields.ts'
import { problemOf } from './problem-document.ts'

const deletionTime = z.union([time, z.literal('')]).meta({ description: 'Empty while it is not deleted.' })
const customMetadata = z.record(text, text).nullable()

export const versionFactsDocument = z
  .object({
    version: z.int().min(1),
    created_time: time,
    deletion_time: deletionTime,
    destroyed: z.boolean(),
    custom_metadata: customMetadata,
  })
  .meta({ id: 'SecretVersion' })
export type VersionFactsDocument = z.output<typeof versionFactsDocument>

export const secretDocument = z
  .object({ data: z.object({ data: z.record(text, z.unknown()), metadata: versionFactsDocument }) })
  .meta({ id: 'Secret' })

export const writtenDocument = z.object({ data: versionFactsDocument })
export const secretMetadataDocument = z
  .object({
    created_time: time,
    updated_time: time,
    current_version: z.int().min(0),
    oldest_version: z.int().min(0),
    max_versions: z.int().min(1),
    cas_required: z.boolean(),
    custom_metadata: customMetadata,
    versions: z.record(text, z.object({ created_time: time, deletion_time: deletionTime, destroyed: z.boolean() })),
  })
  .meta({ id: 'SecretMetadata' })
export type SecretMetadataDocument = z.output<typeof secretMetadataDocument>

export const historyDocument = z.object({ data: secretMetadataDocument })
export const keysDocument = z.object({
  data: z.object({ keys: z.array(text).meta({ description: 'Folders end in `/`.' }) }),
  next,
})

/** A version that is not to be read is told of all the same. */
export const unreadableVersion = problemOf(404, ['There is nothing here'], ['not_found']).extend({
  data: z.object({ data: z.null(), metadata: versionFactsDocument }).optional(),
})
