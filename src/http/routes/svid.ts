/**
 * Endpoints that turn a proof of identity into SVIDs. They are the hot routes: written over `Call` and text, so that the
 * same code answers under Hono and in front of it.
 *
 * @module
 */
import * as z from 'zod'
import type { Call } from '../../core/call.ts'
import type { Gateway } from '../../core/gateway.ts'
import type { SvidOutcome, SvidRequest } from '../../core/issue-svids.ts'
import type { IssuedX509Svid } from '../../core/issue-x509-svid.ts'
import { formatPem } from '../../protocol/encoding.ts'
import type { JwtSvid } from '../../protocol/jwt-svid.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import { audienceField, readJsonBody, spiffeIdField, ttlField } from '../body.ts'
import type { JwtSvidDocument, X509SvidDocument } from '../openapi/svid-documents.ts'
import { problemDocument } from '../problem.ts'

const common = { spiffe_id: spiffeIdField.optional(), ttl_seconds: ttlField.optional() }

export const jwtSvidBody = z.strictObject({ audience: audienceField, ...common })
export const x509SvidBody = z.strictObject({ csr: z.string().min(1).max(32_768), ...common })
export const svidsBody = z.strictObject({
  requests: z
    .array(z.union([z.strictObject({ jwt: jwtSvidBody }), z.strictObject({ x509: x509SvidBody })]))
    .min(1)
    .max(100),
})

type HotGateway = Pick<Gateway, 'issueSvid' | 'issueSvids' | 'published'>

/** One route: what it is in records, and its answer to a body. */
export interface HotRoute {
  readonly operation: string
  readonly answer: (call: Call, body: string) => Promise<Answer>
}

/** By path; all are `POST` with a JSON body. */
export function svidRoutes(gateway: HotGateway): Readonly<Record<string, HotRoute>> {
  const bundlePem = createBundlePem(gateway)
  return {
    '/v1/svid/jwt': {
      operation: 'jwt_svid',
      async answer(call, body) {
        const request = jwtRequest(readJsonBody(body, jwtSvidBody))
        return jsonAnswer(jwtDocument(await gateway.issueSvid(call, request)))
      },
    },
    '/v1/svid/x509': {
      operation: 'x509_svid',
      async answer(call, body) {
        const request = x509Request(readJsonBody(body, x509SvidBody))
        return jsonAnswer(x509Document(await gateway.issueSvid(call, request), bundlePem()))
      },
    },
    '/v1/svids': {
      operation: 'svids',
      async answer(call, body) {
        const { requests } = readJsonBody(body, svidsBody)
        const outcomes = await gateway.issueSvids(
          call,
          requests.map((request) => ('jwt' in request ? jwtRequest(request.jwt) : x509Request(request.x509))),
        )
        const pem = outcomes.some(({ kind }) => kind === 'x509') ? bundlePem() : ''
        return jsonAnswer({ results: outcomes.map((outcome) => outcomeDocument(outcome, pem, call.requestId)) })
      },
    },
  }
}

function jwtRequest(body: z.output<typeof jwtSvidBody>): Extract<SvidRequest, { kind: 'jwt' }> {
  return { kind: 'jwt', audience: body.audience, ...optional(body) }
}

function x509Request(body: z.output<typeof x509SvidBody>): Extract<SvidRequest, { kind: 'x509' }> {
  return { kind: 'x509', csr: body.csr, ...optional(body) }
}

function optional(body: { readonly spiffe_id?: string | undefined; readonly ttl_seconds?: number | undefined }) {
  return {
    ...(body.spiffe_id !== undefined && { spiffeId: body.spiffe_id }),
    ...(body.ttl_seconds !== undefined && { ttlSeconds: body.ttl_seconds }),
  }
}

/** The text of the bundle as it is published, decoded once for each that is. */
function createBundlePem(gateway: Pick<Gateway, 'published'>): () => string {
  let last: { readonly body: Uint8Array; readonly text: string } | undefined
  return () => {
    const { body } = gateway.published().bundlePem
    if (last?.body !== body) last = { body, text: new TextDecoder().decode(body) }
    return last.text
  }
}

function jwtDocument({ spiffeId, token, expiresAt }: JwtSvid): JwtSvidDocument {
  return { spiffe_id: spiffeId.uri, token, expires_at: expiresAt.toISOString() }
}

function x509Document({ spiffeId, certificates, expiresAt }: IssuedX509Svid, bundle: string): X509SvidDocument {
  return {
    spiffe_id: spiffeId.uri,
    certificates: certificates.map((der) => formatPem('CERTIFICATE', der)).join(''),
    bundle,
    expires_at: expiresAt.toISOString(),
  }
}

function outcomeDocument(outcome: SvidOutcome, bundle: string, requestId: string) {
  if (outcome.kind === 'jwt') return jwtDocument(outcome.svid)
  if (outcome.kind === 'x509') return x509Document(outcome.svid, bundle)
  return problemDocument(outcome.refusal, requestId)
}
