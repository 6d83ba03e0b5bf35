/**
 * `/v1/kv`, for callers and for operators.
 *
 * @module
 */
import * as z from 'zod'
import type { RefusalCode } from '../../core/refusal.ts'
import { kvDataBody, kvMetadataBody, kvQueries, kvVersionsBody } from '../routes/kv.ts'
import { historyDocument, keysDocument, secretDocument, unreadableVersion, writtenDocument } from './kv-documents.ts'
import type { Api, Asked, Fields, Operation } from './operation.ts'

const secretPath = {
  path: z
    .string()
    .max(512)
    .regex(/^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/)
    .meta({
      description: 'Path of the secret. Its slashes stand as they are: an encoded one joins nothing.',
      examples: ['payments/db'],
    }),
}
const json = (schema: z.ZodType) => ({ 'application/json': schema })
const nothing = { status: 204, description: 'Done.' }

interface Askers {
  readonly asked: Asked
  /** What they may be refused for besides what is wrong with the request. */
  readonly refusals: readonly RefusalCode[]
}

export function kvPaths(who: Askers): Api['paths'] {
  const queries = who.asked === 'everybody' ? operatorQueries : kvQueries
  const describe = (operation: Pick<Operation, 'id' | 'summary' | 'answers' | 'refusals'> & Partial<Operation>) => ({
    tag: 'secrets',
    asked: who.asked,
    path: secretPath,
    query: queries.identity,
    ...operation,
    refusals: [...who.refusals, ...operation.refusals],
  })
  return {
    '/v1/kv/data/{path}': dataPath(describe, queries),
    ...Object.fromEntries(
      (['delete', 'undelete', 'destroy'] as const).map((act) => [
        `/v1/kv/${act}/{path}`,
        { post: versions(describe, act), put: { ...versions(describe, act), id: `${act}Versions.put` } },
      ]),
    ),
    '/v1/kv/metadata/{path}': metadataPath(describe, queries),
  }
}

/** An operator acts as none of the identities. */
const operatorQueries = {
  identity: {},
  version: { version: kvQueries.version.version },
  folder: { list: kvQueries.folder.list, limit: kvQueries.folder.limit, after: kvQueries.folder.after },
}
type Queries = Readonly<Record<keyof typeof kvQueries, Fields>>

type Describe = (
  operation: Pick<Operation, 'id' | 'summary' | 'answers' | 'refusals'> & Partial<Operation>,
) => Operation

function dataPath(describe: Describe, queries: Queries): Api['paths'][string] {
  const written = [{ status: 200, description: 'The version that was written.', content: json(writtenDocument) }]
  const write = {
    summary: 'Write a version of a secret',
    body: { mediaTypes: ['application/json'], schema: kvDataBody },
    answers: written,
    refusals: ['conflict', 'unsupported_media_type'],
  } as const
  return {
    get: describe({
      id: 'readSecret',
      summary: 'Read a version of a secret',
      query: queries.version,
      answers: [{ status: 200, description: 'The version and what it holds.', content: json(secretDocument) }],
      refusals: [],
      errors: {
        404: {
          status: 404,
          description: 'There is nothing there, or a version that is deleted or destroyed, which `data` tells of.',
          content: { 'application/problem+json': unreadableVersion },
        },
      },
    }),
    post: describe({ id: 'writeSecret', ...write }),
    put: describe({ id: 'writeSecret.put', ...write }),
    patch: describe({
      id: 'patchSecret',
      ...write,
      summary: 'Write a version that is the current one with a merge patch (RFC 7396)',
      body: { mediaTypes: ['application/merge-patch+json', 'application/json'], schema: kvDataBody },
      refusals: [...write.refusals, 'not_found'],
    }),
    delete: describe({
      id: 'deleteSecret',
      summary: 'Delete the current version, until it is undeleted',
      answers: [nothing],
      refusals: ['not_found', 'conflict'],
    }),
  }
}

const acts = {
  delete: 'Delete versions, until they are undeleted',
  undelete: 'Undelete versions',
  destroy: 'Destroy versions, for ever',
} as const

function versions(describe: Describe, act: keyof typeof acts): Operation {
  return describe({
    id: `${act}Versions`,
    summary: acts[act],
    body: { mediaTypes: ['application/json'], schema: kvVersionsBody },
    answers: [nothing],
    refusals: ['not_found', 'conflict', 'unsupported_media_type'],
  })
}

function metadataPath(describe: Describe, queries: Queries): Api['paths'][string] {
  const configure = {
    summary: 'Change the settings of a secret, also before its first version',
    body: { mediaTypes: ['application/json'], schema: kvMetadataBody },
    answers: [nothing],
    refusals: ['conflict', 'unsupported_media_type'],
  } as const
  return {
    get: describe({
      id: 'secretHistory',
      summary: 'List the versions of a secret, or with `list=true` the keys of a folder',
      description:
        'A folder may end in a slash, and an empty one is the top. The method `LIST` does the same as `list=true`, over HTTP/2 only.',
      query: queries.folder,
      answers: [
        {
          status: 200,
          description: 'The versions and settings; of a folder its keys.',
          content: json(z.union([historyDocument, keysDocument])),
        },
      ],
      refusals: ['not_found'],
    }),
    post: describe({ id: 'configureSecret', ...configure }),
    put: describe({ id: 'configureSecret.put', ...configure }),
    delete: describe({
      id: 'purgeSecret',
      summary: 'Remove all of a path, for ever',
      answers: [nothing],
      refusals: ['not_found', 'conflict'],
    }),
  }
}
