/**
 * The admin API, described.
 *
 * @module
 */
import * as z from 'zod'
import { listQuery } from '../list-query.ts'
import { authorityChangeBody, intermediateBody } from '../routes/authorities.ts'
import { explainBody } from '../routes/explain.ts'
import { importBody, refreshBody } from '../routes/federation.ts'
import { joinTokenBody } from '../routes/join-tokens.ts'
import { pruneBody, recordQuery, verifyBody } from '../routes/records.ts'
import { rotateBody } from '../routes/seal.ts'
import { tryBody } from '../routes/targets.ts'
import {
  authorityDocument,
  intermediateDocument,
  joinTokenDocument,
  newJoinTokenDocument,
  peerDetailsDocument,
  peerDocument,
  prunedDocument,
  recordKeyDocument,
  recordsDocument,
  reloadDocument,
  statusDocument,
  trialDocument,
  verificationDocument,
} from './admin-documents.ts'
import { explanationsDocument, rotationDocument } from './explain-documents.ts'
import { next, text } from './fields.ts'
import { kvPaths } from './kv-api.ts'
import { type Answered, type Api, type Operation, unreadable } from './operation.ts'
import { bundleDocument, bundleQuery, openApiDocument } from './published-documents.ts'

const json = (schema: z.ZodType) => ({ 'application/json': schema })
const answer = (schema: z.ZodType, description: string, status = 200): readonly Answered[] => [
  { status, description, content: json(schema) },
]
const page = (schema: z.ZodType) => z.object({ items: z.array(schema), next })

type Facts = Pick<Operation, 'id' | 'summary' | 'answers'> & Partial<Operation>

function read(tag: string, facts: Facts): Operation {
  return { tag, asked: 'everybody', refusals: ['store_unavailable'], ...facts }
}

/** What changes something is put on record, and so may fail at that. */
function act(
  tag: string,
  schema: z.ZodType,
  { refusals = [], ...facts }: Facts & { readonly empty?: boolean },
): Operation {
  const { empty = false, ...rest } = facts
  return {
    tag,
    asked: 'everybody',
    body: { mediaTypes: ['application/json'], schema, optional: empty },
    ...rest,
    refusals: ['store_unavailable', ...refusals],
  }
}

const authorities = {
  '/v1/authorities': {
    get: read('authorities', {
      id: 'listAuthorities',
      summary: 'The signing authorities',
      answers: answer(page(authorityDocument), 'All of them.'),
    }),
    post: act('authorities', authorityChangeBody, {
      id: 'changeAuthority',
      summary: 'Prepare, activate, taint or revoke an authority',
      answers: answer(authorityDocument, 'The authority as it is now.'),
      refusals: ['not_found', 'conflict', 'no_authority'],
    }),
  },
  '/v1/authorities/sign-intermediate': {
    post: act('authorities', intermediateBody, {
      id: 'signIntermediate',
      summary: 'Sign an X.509 intermediate for another issuer of the trust domain',
      answers: answer(intermediateDocument, 'The intermediate.'),
      refusals: ['conflict', 'no_authority'],
    }),
  },
} satisfies Api['paths']

const joinTokens = {
  '/v1/join-tokens': {
    get: read('join tokens', {
      id: 'listJoinTokens',
      summary: 'The join tokens, without what they are',
      query: listQuery,
      answers: answer(page(joinTokenDocument), 'A page of them.'),
    }),
    post: act('join tokens', joinTokenBody, {
      id: 'createJoinToken',
      summary: 'Make a join token',
      answers: answer(newJoinTokenDocument, 'The token, shown this once.', 201),
    }),
  },
  '/v1/join-tokens/{id}': {
    delete: read('join tokens', {
      id: 'revokeJoinToken',
      summary: 'Revoke a join token, and the renewal of what it started',
      path: { id: text },
      answers: answer(joinTokenDocument, 'The token as it is now.'),
      refusals: ['store_unavailable', 'not_found'],
    }),
  },
} satisfies Api['paths']

const peerPath = { trust_domain: text }
const federation = {
  '/v1/federation': {
    get: read('federation', {
      id: 'listFederatedTrustDomains',
      summary: 'The trust domains that we federate with',
      query: listQuery,
      answers: answer(page(peerDocument), 'A page of them, by name.'),
    }),
  },
  '/v1/federation/{trust_domain}': {
    get: read('federation', {
      id: 'federatedTrustDomain',
      summary: 'One of them, with its bundle',
      path: peerPath,
      answers: answer(peerDetailsDocument, 'What is held of it.'),
      refusals: ['store_unavailable', 'not_found'],
    }),
  },
  '/v1/federation/{trust_domain}/refresh': {
    post: act('federation', refreshBody, {
      id: 'refreshFederatedTrustDomain',
      summary: 'Ask its bundle endpoint now',
      path: peerPath,
      empty: true,
      answers: answer(peerDocument, 'What is held now.'),
      refusals: ['not_found', 'conflict', 'upstream_failed'],
    }),
  },
  '/v1/federation/{trust_domain}/import': {
    post: act('federation', importBody, {
      id: 'importBundle',
      summary: 'Take a bundle that came another way',
      path: peerPath,
      answers: answer(peerDocument, 'What is held now.'),
      refusals: ['not_found', 'conflict', 'upstream_failed'],
    }),
  },
} satisfies Api['paths']

const records = {
  '/v1/records': {
    get: read('records', {
      id: 'listRecords',
      summary: 'Records, by time',
      query: recordQuery.shape,
      answers: answer(recordsDocument, 'A page of them, which may be empty while there is more to look through.'),
    }),
  },
  '/v1/records/export': {
    get: read('records', {
      id: 'exportRecords',
      summary: 'All records with their places in their chains, and the signed heads, as JSON lines',
      answers: [{ status: 200, description: 'The lines.', content: { 'application/jsonl': text } }],
    }),
  },
  '/v1/records/verify': {
    post: act('records', verifyBody, {
      id: 'verifyRecords',
      summary: 'Look for records that were changed, removed or reordered',
      empty: true,
      answers: answer(verificationDocument, 'What was found, by chain.'),
    }),
  },
  '/v1/records/prune': {
    post: act('records', pruneBody, {
      id: 'pruneRecords',
      summary: 'Remove records from before a time',
      answers: answer(prunedDocument, 'How many went.'),
    }),
  },
  '/v1/records/key': {
    get: read('records', {
      id: 'recordKey',
      summary: 'The key that verifies the heads of chains',
      answers: answer(recordKeyDocument, 'Its public half.'),
      refusals: [],
    }),
  },
} satisfies Api['paths']

const store = {
  '/v1/backup': {
    post: read('store', {
      id: 'backUp',
      summary: 'A copy of the store as it is at one moment, an SQLite database',
      answers: [
        {
          status: 200,
          description: 'The copy. What is sealed is sealed in it as well.',
          content: { 'application/vnd.sqlite3': text.meta({ format: 'binary' }) },
        },
      ],
      refusals: ['store_unavailable', 'conflict'],
    }),
  },
  '/v1/seal/rotate': {
    post: act('store', rotateBody, {
      id: 'rotateSeal',
      summary: 'Seal everything under the next seal key',
      empty: true,
      answers: answer(rotationDocument, 'What was sealed anew.'),
      refusals: ['conflict'],
    }),
  },
} satisfies Api['paths']

const process = {
  '/v1/explain': {
    post: act('process', explainBody, {
      id: 'explain',
      summary: 'What a proof would get, or why a request was decided as it was',
      answers: answer(explanationsDocument, 'Rules, policies and decision, each with what it came to.'),
      refusals: ['not_found'],
    }),
  },
  '/v1/targets/{name}/try': {
    post: act('process', tryBody, {
      id: 'tryTarget',
      summary: 'Exchange once for a target, and throw the credential away',
      path: { name: text },
      empty: true,
      answers: answer(trialDocument, 'What the cloud said.'),
      refusals: ['not_found', 'no_authority', 'not_entitled'],
    }),
  },
  '/v1/reload': {
    post: read('process', {
      id: 'reload',
      summary: 'Put a changed configuration into use',
      answers: [
        ...answer(reloadDocument, 'It is in use.'),
        ...answer(reloadDocument, 'It was refused, and the one before it serves on.', 409),
      ],
    }),
  },
  '/v1/bundle': {
    get: read('process', {
      id: 'bundle',
      summary: 'Our SPIFFE bundle',
      query: bundleQuery,
      answers: [
        {
          status: 200,
          description: 'The bundle.',
          content: { ...json(bundleDocument), 'application/x-pem-file': text },
        },
      ],
      refusals: ['no_authority'],
    }),
  },
  '/v1/status': {
    get: read('process', {
      id: 'status',
      summary: 'Whether all is well',
      answers: answer(statusDocument, 'What there is to say.'),
      refusals: ['no_authority'],
    }),
  },
  '/metrics': {
    get: read('process', {
      id: 'metrics',
      summary: 'Metrics, in the text format of Prometheus',
      answers: [{ status: 200, description: 'All of them.', content: { 'text/plain': text } }],
      refusals: [],
    }),
  },
  '/openapi.json': {
    get: read('process', {
      id: 'openapi',
      summary: 'This document',
      answers: answer(openApiDocument, 'The document.'),
      refusals: [],
    }),
  },
} satisfies Api['paths']

export const adminApi: Api = {
  title: 'Apostille: admin API',
  description: `Served on the unix socket of \`admin.listen\`, without a proof: whoever may open the socket is the operator. What
changes something is on record, refused or not, and refusals are answered with their \`detail\`.`,
  tags: [
    { name: 'authorities', description: 'The keys that sign.' },
    { name: 'join tokens', description: 'First proofs, for machines that have no other.' },
    { name: 'federation', description: 'Bundles of other trust domains.' },
    { name: 'records', description: 'What was asked, decided and issued.' },
    { name: 'secrets', description: 'Our own versioned secrets; each act is on record.' },
    { name: 'store', description: 'What is kept, and the key that seals it.' },
    { name: 'process', description: 'Configuration, health and metrics.' },
  ],
  always: [...unreadable, 'internal', 'overloaded'],
  forOperators: true,
  paths: {
    ...authorities,
    ...joinTokens,
    ...federation,
    ...records,
    ...kvPaths({ asked: 'everybody', refusals: ['store_unavailable'] }),
    ...store,
    ...process,
  },
}
