/**
 * The syncs of the admin API, described.
 *
 * @module
 */
import * as z from 'zod'
import { listQuery } from '../list-query.ts'
import { applyBody, planBody } from '../routes/syncs.ts'
import { next, text } from './fields.ts'
import type { Answered, Api, Operation } from './operation.ts'
import { syncDocument } from './sync-documents.ts'

const one = { tag: 'syncs', asked: 'everybody', path: { name: text } } as const
const json = (schema: z.ZodType, description: string): readonly Answered[] => [
  { status: 200, description, content: { 'application/json': schema } },
]
const lines = (description: string): readonly Answered[] => [
  { status: 200, description, content: { 'application/jsonl': text } },
]
const body = (schema: z.ZodType): NonNullable<Operation['body']> => ({
  mediaTypes: ['application/json'],
  schema,
  optional: true,
})

export const syncPaths = {
  '/v1/syncs': {
    get: {
      tag: 'syncs',
      asked: 'everybody',
      id: 'listSyncs',
      summary: 'The syncs of the configuration, and how they stand',
      query: listQuery,
      answers: json(z.object({ items: z.array(syncDocument), next }), 'A page of them, by name.'),
      refusals: ['store_unavailable'],
    },
  },
  '/v1/syncs/{name}': {
    get: {
      ...one,
      id: 'sync',
      summary: 'One of them',
      answers: json(syncDocument, 'What its last runs came to.'),
      refusals: ['store_unavailable', 'not_found'],
    },
  },
  '/v1/syncs/{name}/plan': {
    post: {
      ...one,
      id: 'planSync',
      summary: 'What a run would do, without a value and without doing it',
      body: body(planBody),
      answers: lines(
        'A line `{destination, action, …}` for each secret that would change or that something is in the way of; at last `{planned: {DESTINATION: {state, counts}}}`, or `{error: {code, detail}}`.',
      ),
      refusals: ['store_unavailable', 'not_found', 'conflict'],
    },
  },
  '/v1/syncs/{name}/apply': {
    post: {
      ...one,
      id: 'applySync',
      summary: 'Run it now',
      body: body(applyBody),
      answers: lines(
        'Lines `{destination, progress}` on the way; at last `{applied}` with the status, or `{error: {code, detail}}`.',
      ),
      refusals: ['store_unavailable', 'not_found', 'conflict'],
    },
  },
} satisfies Api['paths']
