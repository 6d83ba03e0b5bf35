/**
 * TokenReview: asks a cluster's API server whether a token is still good, its pod and service account still there.
 *
 * The API server itself remembers a good token for 10 seconds, so an answer says how things were up to 10 seconds ago.
 *
 * @see {@link https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/ TokenReview v1}
 * @module
 */
import { createHash } from 'node:crypto'
import { Refusal } from '../core/refusal.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { isJsonObject, parseStrictJson } from '../protocol/json.ts'
import { createBearerFile } from './bearer-file.ts'
import { type HttpAnswer, type HttpClient, type HttpRequest, requireSuccess, UpstreamError } from './http-client.ts'
import type { FileReader } from './watched-file.ts'

export interface TokenReviewInput {
  /** URL of the API server. */
  readonly server: string
  /** To be reviewed. */
  readonly token: string
  readonly audience: string
  /** Token of ours, whose account may create token reviews. */
  readonly bearer: string
}

/** What the API server says of a token. */
export interface TokenReview {
  readonly authenticated: boolean
  /** Those that were asked for and that the token has. */
  readonly audiences: readonly string[]
  readonly username?: string
  readonly uid?: string
  /** Why not, in the API server's words. */
  readonly error?: string
}

/** A review, and how old it is. */
export interface DatedReview {
  readonly review: TokenReview
  readonly ageMs: number
}

export interface TokenReviewerConfig {
  readonly server: string
  readonly token_file: string
  readonly audience: string
}

export interface TokenReviewerDeps {
  readonly request: HttpClient['request']
  readonly files: FileReader
  readonly monotonicMs: () => number
  readonly shareFetches: boolean
}

/** How long an answer is good. */
export const reviewLifeMs = 10_000

const maxReviews = 10_000

/**
 * One request per token at a time, and none while its last answer is good.
 *
 * The function it answers throws a `Refusal` with code `upstream_failed` when there is no answer.
 */
export function createTokenReviewer(
  config: TokenReviewerConfig,
  deps: TokenReviewerDeps,
): (token: string) => Promise<DatedReview> {
  const { server, audience } = config
  const bearer = createBearerFile(config.token_file, deps)
  const answered = new Map<string, { readonly review: TokenReview; readonly atMs: number }>()
  const running = new Map<string, Promise<DatedReview>>()

  async function ask(token: string, digest: string): Promise<DatedReview> {
    const atMs = deps.monotonicMs()
    const wanted = buildTokenReview({ server, audience, token, bearer: await bearer() })
    const review = readTokenReview(requireSuccess(await deps.request(wanted), wanted.url))
    for (const [oldest, { atMs: then }] of answered) {
      if (answered.size < maxReviews && atMs - then < reviewLifeMs) break
      answered.delete(oldest)
    }
    answered.delete(digest)
    answered.set(digest, { review, atMs })
    return { review, ageMs: 0 }
  }

  function askOnce(token: string, digest: string): Promise<DatedReview> {
    if (!deps.shareFetches) return ask(token, digest)
    const asked = running.get(digest) ?? ask(token, digest).finally(() => running.delete(digest))
    running.set(digest, asked)
    return asked
  }

  return async (token) => {
    const digest = createHash('sha256').update(token).digest('base64url')
    const known = answered.get(digest)
    const ageMs = known === undefined ? reviewLifeMs : deps.monotonicMs() - known.atMs
    if (known !== undefined && ageMs < reviewLifeMs) return { review: known.review, ageMs }
    try {
      return await askOnce(token, digest)
    } catch (error) {
      throw translate(error)
    }
  }
}

export function buildTokenReview({ server, token, audience, bearer }: TokenReviewInput): HttpRequest {
  return {
    url: `${server.replace(/\/$/, '')}/apis/authentication.k8s.io/v1/tokenreviews`,
    method: 'POST',
    repeatable: true,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [audience] },
    }),
  }
}

/**
 * A field that is absent has its zero value: no `authenticated` means that it is not.
 *
 * @throws {UpstreamError} `malformed` for anything but a TokenReview
 */
export function readTokenReview(answer: HttpAnswer): TokenReview {
  const document = parseAnswer(answer.text)
  const status: unknown = isJsonObject(document) && document.kind === 'TokenReview' ? document.status : undefined
  if (!isJsonObject(status)) throw new UpstreamError('malformed', 'the API server did not answer with a TokenReview')

  const { authenticated, audiences, user, error } = status
  const { username, uid } = isJsonObject(user) ? user : {}
  return {
    authenticated: authenticated === true,
    audiences: Array.isArray(audiences) ? audiences.filter((value) => typeof value === 'string') : [],
    ...(typeof username === 'string' ? { username } : {}),
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof error === 'string' ? { error } : {}),
  }
}

function parseAnswer(text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch (cause) {
    throw new UpstreamError('malformed', 'the API server did not answer with JSON', { cause })
  }
}

function translate(error: unknown): unknown {
  if (!(error instanceof UpstreamError || error instanceof ProtocolError)) return error
  const hint = error instanceof UpstreamError && (error.status === 401 || error.status === 403) ? forbiddenHint : ''
  return new Refusal('upstream_failed', `TokenReview: ${error.message}${hint}`, { cause: error })
}

const forbiddenHint = '; the account of token_file needs the cluster role system:auth-delegator'
