/**
 * The public API, described.
 *
 * @module
 */
import * as z from 'zod'
import { refusals } from '../../core/refusal.ts'
import { spiffeIdField } from '../body.ts'
import { jwtSvidBody, svidsBody, x509SvidBody } from '../routes/svid.ts'
import { oauthErrors, unsupportedGrantType } from '../routes/token.ts'
import { next, trustDomain } from './fields.ts'
import { kvPaths } from './kv-api.ts'
import { type Answered, type Api, type Operation, proofRefusals, unreadable } from './operation.ts'
import { oauthErrorOf, problemOf } from './problem-document.ts'
import {
  bundleDocument,
  bundleQuery,
  discoveryDocument,
  keySetDocument,
  livezDocument,
  openApiDocument,
  readyzDocument,
  unreadyDocument,
} from './published-documents.ts'
import {
  accessTokenDocument,
  awsCredentialDocument,
  identityDocument,
  jwtSvidDocument,
  tokenDocument,
  x509SvidDocument,
} from './svid-documents.ts'
import { tokenForm } from './token-form.ts'

const json = (schema: z.ZodType) => ({ 'application/json': schema })
const svidRefusals = [
  ...proofRefusals,
  'not_entitled',
  'too_many',
  'no_authority',
  'unsupported_media_type',
] as const satisfies Operation['refusals']

const documentHeaders = {
  etag: z.string(),
  'cache-control': z.string().meta({ description: 'Tied to the rotation of keys.', examples: ['public, max-age=300'] }),
  'access-control-allow-origin': z.literal('*'),
  'access-control-expose-headers': z.string(),
}

type DocumentFacts = Pick<Operation, 'id' | 'summary'> & Partial<Pick<Operation, 'query' | 'path' | 'refusals'>>

function document(content: Answered['content'], facts: DocumentFacts): Operation {
  return {
    tag: 'published',
    asked: 'everybody',
    conditional: true,
    refusals: ['no_authority'],
    ...facts,
    answers: [
      { status: 200, description: 'The document.', ...(content && { content }), headers: documentHeaders },
      { status: 304, description: 'It is the one of `If-None-Match`.', headers: documentHeaders },
    ],
  }
}

/** For scripts of other origins. */
function preflight(id: string, path?: Operation['path']): Operation {
  return {
    ...(path && { path }),
    id: `${id}.options`,
    summary: 'Whether scripts of other origins may ask (CORS)',
    tag: 'published',
    asked: 'everybody',
    answers: [
      {
        status: 204,
        description: 'They may.',
        headers: {
          'access-control-allow-origin': z.literal('*'),
          'access-control-allow-methods': z.string(),
          'access-control-allow-headers': z.string(),
          'access-control-max-age': z.string(),
        },
      },
    ],
    refusals: [],
  }
}

const bundleForms = { ...json(bundleDocument), 'application/x-pem-file': z.string() }
const svidJson = (schema: z.ZodType, description: string) => [{ status: 200, description, content: json(schema) }]

/** One request of a batch may be refused for all that one alone may be. */
const refusedOutcome = problemOf(
  403,
  Object.values(refusals).map(({ title }) => title),
  Object.keys(refusals),
).extend({ status: z.int() })

/** The answers of `/token` to a refusal: by status, with the errors that come with it. */
function oauthAnswers(): Readonly<Record<number, Answered>> {
  const possible = [...unreadable, ...svidRefusals, 'internal', 'overloaded'] as const
  const rows = [...possible.map((code) => oauthErrors[code]), unsupportedGrantType]
  return Object.fromEntries(
    [...new Set(rows.map(({ status }) => status))].map((status) => {
      const errors = [...new Set(rows.filter((row) => row.status === status).map(({ error }) => error))]
      const content = json(oauthErrorOf(errors))
      return [status, { status, description: `RFC 6749 §5.2: ${errors.join(', ')}.`, content }]
    }),
  )
}

export const publicApi: Api = {
  title: 'Apostille',
  description: `A proof of identity goes in, a short-lived credential comes out, every step is on record.

Fields are \`snake_case\`, times RFC 3339; an unknown field is refused. A body has at most 128 KiB, the headers 16 KiB. \`HEAD\` is
answered wherever \`GET\` is. An unknown path is answered 404 and a method that a path does not take 405 with \`Allow\`, both with
problem details.`,
  tags: [
    { name: 'SVIDs', description: 'SPIFFE identities for whoever shows a proof.' },
    { name: 'credentials', description: 'Credentials of clouds.' },
    { name: 'secrets', description: 'Our own versioned secrets, in the form of KV v2.' },
    { name: 'published', description: 'What everybody may read.' },
    { name: 'health', description: 'For probes.' },
  ],
  always: [...unreadable, 'internal', 'overloaded'],
  forOperators: false,
  paths: {
    '/v1/identities': {
      get: {
        id: 'listIdentities',
        summary: 'Which SPIFFE IDs the proof has',
        description: 'The first is the default. Spends no use of a join token.',
        tag: 'SVIDs',
        asked: 'proof',
        answers: svidJson(z.object({ items: z.array(identityDocument), next }), 'All of them.'),
        refusals: proofRefusals,
      },
    },
    '/v1/svid/jwt': {
      post: {
        id: 'issueJwtSvid',
        summary: 'Issue a JWT-SVID',
        tag: 'SVIDs',
        asked: 'proof',
        body: { mediaTypes: ['application/json'], schema: jwtSvidBody },
        answers: svidJson(jwtSvidDocument, 'The JWT-SVID.'),
        refusals: svidRefusals,
      },
    },
    '/v1/svid/x509': {
      post: {
        id: 'issueX509Svid',
        summary: 'Issue an X.509-SVID',
        description: 'With an X.509-SVID of ours as the proof this renews it.',
        tag: 'SVIDs',
        asked: 'proof',
        body: { mediaTypes: ['application/json'], schema: x509SvidBody },
        answers: svidJson(x509SvidDocument, 'The X.509-SVID.'),
        refusals: svidRefusals,
      },
    },
    '/v1/svids': {
      post: {
        id: 'issueSvids',
        summary: 'Issue up to 100 SVIDs of both kinds for one proof',
        tag: 'SVIDs',
        asked: 'proof',
        body: { mediaTypes: ['application/json'], schema: svidsBody },
        answers: svidJson(
          z.object({ results: z.array(z.union([jwtSvidDocument, x509SvidDocument, refusedOutcome])) }),
          'In order, each an SVID or a problem.',
        ),
        refusals: [...proofRefusals, 'unsupported_media_type'],
      },
    },
    '/token': {
      post: {
        id: 'exchangeToken',
        summary: 'Exchange a token for a JWT-SVID (RFC 8693)',
        description: 'The `subject_token` is the proof. Parameters that are not known are ignored.',
        tag: 'SVIDs',
        asked: 'form',
        body: { mediaTypes: ['application/x-www-form-urlencoded'], schema: tokenForm },
        answers: [
          { ...svidJson(tokenDocument, 'The JWT-SVID.')[0], headers: { pragma: z.literal('no-cache') } } as Answered,
        ],
        refusals: [],
        errors: oauthAnswers(),
      },
    },
    '/v1/credentials/{target}': {
      get: {
        id: 'credential',
        summary: 'The credential of a cloud, in the form that its SDK reads',
        tag: 'credentials',
        asked: 'bare proof',
        path: {
          target: z
            .string()
            .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/)
            .meta({ description: 'Name of the target in the configuration.' }),
        },
        query: { spiffe_id: spiffeIdField.optional() },
        answers: svidJson(z.union([awsCredentialDocument, accessTokenDocument]), 'The credential.'),
        refusals: [...proofRefusals, 'not_entitled', 'too_many', 'no_authority', 'not_found'],
      },
    },
    ...kvPaths({ asked: 'proof', refusals: [...proofRefusals, 'not_entitled', 'too_many'] }),
    '/.well-known/openid-configuration': {
      get: document(json(discoveryDocument), { id: 'discovery', summary: 'OpenID Connect discovery of JWT-SVIDs' }),
      options: preflight('discovery'),
    },
    '/keys': {
      get: document(
        { 'application/jwk-set+json': keySetDocument },
        { id: 'keys', summary: 'The keys of JWT-SVIDs (the `jwks_uri`)' },
      ),
      options: preflight('keys'),
    },
    '/v1/bundle': {
      get: document(bundleForms, { id: 'bundle', summary: 'Our SPIFFE bundle', query: bundleQuery }),
      options: preflight('bundle'),
    },
    '/v1/bundles/{trust_domain}': {
      get: document(bundleForms, {
        id: 'federatedBundle',
        summary: 'The bundle that is held of a trust domain that we federate with',
        path: { trust_domain: trustDomain },
        query: bundleQuery,
        refusals: ['not_found'],
      }),
      // Whether there is such a trust domain is not asked before the request itself.
      options: preflight('federatedBundle', { trust_domain: z.string().min(1) }),
    },
    '/openapi.json': {
      get: document(json(openApiDocument), { id: 'openapi', summary: 'This document', refusals: [] }),
      options: preflight('openapi'),
    },
    '/livez': {
      get: {
        id: 'livez',
        summary: 'Whether the process is up',
        tag: 'health',
        asked: 'everybody',
        answers: svidJson(livezDocument, 'It is.'),
        refusals: [],
        never: ['overloaded'],
      },
    },
    '/readyz': {
      get: {
        id: 'readyz',
        summary: 'Whether store, keys and configuration are usable',
        tag: 'health',
        asked: 'everybody',
        answers: [
          ...svidJson(readyzDocument, 'They are.'),
          { status: 503, description: 'They are not.', content: json(unreadyDocument) },
        ],
        refusals: [],
        never: ['overloaded'],
      },
    },
    '/readyz/documents': {
      get: {
        id: 'readyzDocuments',
        summary: 'Whether discovery, keys and bundles are served, which goes on while the store is away',
        tag: 'health',
        asked: 'everybody',
        answers: [
          ...svidJson(readyzDocument, 'They are.'),
          { status: 503, description: 'They are not.', content: json(unreadyDocument) },
        ],
        refusals: [],
        never: ['overloaded'],
      },
    },
  },
}
