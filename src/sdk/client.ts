/**
 * A client of the gateway: a proof goes in, SVIDs, credentials and secrets come out.
 *
 * @module
 */
import { type Document, documentsOf } from './answer-fields.ts'
import { ApostilleError } from './apostille-error.ts'
import { type Ask, type Call, createAsk, longAnswerBytes, problemError, readObject, type ServerOptions } from './ask.ts'
import { type CloudCredential, readCredential } from './credential-answer.ts'
import { createKvClient, type KvClient } from './kv-client.ts'
import {
  type Identity,
  type IssuedX509Svid,
  type JwtSvid,
  readIdentity,
  readJwtSvid,
  readX509Svid,
} from './svid-answer.ts'

export interface ClientOptions extends ServerOptions {
  /** Which of the identities of the proof; default: the first. */
  readonly spiffeId?: string
}

interface SvidRequest {
  /** Which of the identities of the proof; default: that of the client. */
  readonly spiffeId?: string
  /** Default: as long as the rule allows. */
  readonly ttlSeconds?: number
}

export interface JwtSvidRequest extends SvidRequest {
  readonly audience: string | readonly string[]
}

export interface X509SvidRequest extends SvidRequest {
  /** PKCS#10, PEM or base64 of DER. Its key is used, and nothing else of it. */
  readonly csr: string
}

/** One of a batch. */
export type BatchRequest = { readonly jwt: JwtSvidRequest } | { readonly x509: X509SvidRequest }

/** In the order of the requests, each an SVID or why there is none. */
export type BatchOutcomes<Requests extends readonly BatchRequest[]> = {
  readonly [At in keyof Requests]:
    | (Requests[At] extends { readonly jwt: JwtSvidRequest } ? JwtSvid : IssuedX509Svid)
    | ApostilleError
}

/** Each asks the gateway anew. What passes (no connection, overload) is tried again. @throws {ApostilleError} */
export interface Client {
  /** The SPIFFE IDs of the proof; the first is the default. */
  readonly listIdentities: () => Promise<readonly Identity[]>
  readonly getJwtSvid: (request: JwtSvidRequest) => Promise<JwtSvid>
  readonly getX509Svid: (request: X509SvidRequest) => Promise<IssuedX509Svid>
  /** Up to 100 for one proof. */
  readonly getSvids: <const Requests extends readonly BatchRequest[]>(
    requests: Requests,
  ) => Promise<BatchOutcomes<Requests>>
  /** The credential of a cloud. */
  readonly getCredential: (target: string) => Promise<CloudCredential>
  /**
   * The SPIFFE bundle of the gateway's trust domain, or of one that it federates with: a document for `parseTrustBundle`.
   * Takes no proof.
   */
  readonly getBundle: (trustDomain?: string) => Promise<string>
  /** Our own versioned secrets. */
  readonly kv: KvClient
}

/** @throws {ApostilleError} `usage` */
export function createClient(options: ClientOptions): Client {
  const ask = createAsk(options)
  const askObject = async (call: Call) => readObject(await ask(call))
  const { spiffeId } = options
  return {
    async listIdentities() {
      const document = await askObject({ path: '/v1/identities' })
      return documentsOf(document, 'items').map(readIdentity)
    },
    async getJwtSvid(request) {
      return readJwtSvid(await askObject({ path: '/v1/svid/jwt', body: jwtBody(request, spiffeId) }))
    },
    async getX509Svid(request) {
      return readX509Svid(await askObject({ path: '/v1/svid/x509', body: x509Body(request, spiffeId) }))
    },
    getSvids: (requests) => getSvids(ask, requests, spiffeId),
    async getCredential(target) {
      const query = spiffeId === undefined ? '' : `?spiffe_id=${encodeURIComponent(spiffeId)}`
      return readCredential(await askObject({ path: `/v1/credentials/${encodeURIComponent(target)}${query}` }))
    },
    async getBundle(trustDomain) {
      const { text } = await ask({ path: bundlePath(trustDomain), isPublic: true, maxAnswerBytes: longAnswerBytes })
      return text
    },
    kv: createKvClient(ask, spiffeId),
  }
}

export function bundlePath(trustDomain: string | undefined): string {
  return trustDomain === undefined ? '/v1/bundle' : `/v1/bundles/${encodeURIComponent(trustDomain)}`
}

function jwtBody({ audience, ...rest }: JwtSvidRequest, spiffeId: string | undefined) {
  return { audience: [audience].flat(), ...commonBody(rest, spiffeId) }
}

function x509Body({ csr, ...rest }: X509SvidRequest, spiffeId: string | undefined) {
  return { csr, ...commonBody(rest, spiffeId) }
}

function commonBody({ spiffeId, ttlSeconds }: SvidRequest, usual: string | undefined) {
  return { spiffe_id: spiffeId ?? usual, ttl_seconds: ttlSeconds }
}

async function getSvids<const Requests extends readonly BatchRequest[]>(
  ask: Ask,
  requests: Requests,
  spiffeId: string | undefined,
): Promise<BatchOutcomes<Requests>> {
  const body = {
    requests: requests.map((request) =>
      'jwt' in request ? { jwt: jwtBody(request.jwt, spiffeId) } : { x509: x509Body(request.x509, spiffeId) },
    ),
  }
  const answer = await ask({ path: '/v1/svids', body, maxAnswerBytes: longAnswerBytes })
  const results = documentsOf(readObject(answer), 'results')
  if (results.length !== requests.length)
    throw new ApostilleError('the answer is not one for each request', { code: 'unexpected_answer' })
  return results.map(readOutcome) as BatchOutcomes<Requests>
}

function readOutcome(document: Document): JwtSvid | IssuedX509Svid | ApostilleError {
  const { status } = document
  if (typeof status === 'number') return problemError(document, { status })
  return 'token' in document ? readJwtSvid(document) : readX509Svid(document)
}
