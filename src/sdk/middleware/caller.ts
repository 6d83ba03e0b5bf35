/**
 * Who calls an HTTP service: a JWT-SVID as bearer token, or the X.509-SVID of the connection; and what is answered to whom
 * proves nothing. The middleware of each framework only carries these over.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6750#section-3 RFC 6750 §3}
 * @module
 */
import { ProtocolError } from '../../protocol/errors.ts'
import type { SpiffeId } from '../../protocol/spiffe-id.ts'
import { ApostilleError } from '../apostille-error.ts'
import { type Authorizer, requireAuthorized } from '../authorize.ts'
import { peerOf } from '../peer.ts'
import { type JwtVerification, verifyJwtSvid } from '../verify-jwt-svid.ts'

export interface SvidRequirement {
  /** JWT-SVIDs are taken, and this verifies them; absent: none are. */
  readonly jwt?: Omit<JwtVerification, 'authorize'>
  /** Whether the peer of a server that `guardServer` guards is taken; default: false. */
  readonly x509?: boolean
  /** Who may call. */
  readonly authorize: Authorizer
}

/** What the middleware puts on the request. */
export interface Caller {
  readonly spiffeId: SpiffeId
  readonly proof: 'jwt' | 'x509'
  readonly expiresAt: Date
  /** Of the token; empty for a certificate. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** What is answered in place of the service. It says nothing of why. */
export interface CallerRefusal {
  readonly status: 401 | 403 | 503
  readonly headers: Readonly<Record<string, string>>
  /** Problem details, JSON. */
  readonly body: string
}

/** Made once for a service. @throws {ApostilleError} `usage` for a requirement that nobody can meet */
export function createCallerCheck(
  requirement: SvidRequirement,
): (authorization: string | undefined, socket: object | null | undefined) => Promise<Caller | CallerRefusal> {
  const { jwt, x509, authorize } = requirement
  if (jwt === undefined && x509 !== true)
    throw new ApostilleError('name `jwt`, or `x509: true`: else no proof is taken', { code: 'usage' })
  return async (authorization, socket) => {
    try {
      const caller = await identify(requirement, authorization, socket)
      requireAuthorized(caller.spiffeId, authorize)
      return caller
    } catch (error) {
      return refusalOf(error, authorization !== undefined)
    }
  }
}

export function isRefusal(outcome: Caller | CallerRefusal): outcome is CallerRefusal {
  return 'status' in outcome
}

/** A token goes before a certificate; one that fails is not followed by the other. */
async function identify(
  { jwt, x509 }: SvidRequirement,
  authorization: string | undefined,
  socket: object | null | undefined,
): Promise<Caller> {
  if (jwt && authorization !== undefined) {
    const token = /^Bearer +([^\s,]+)$/i.exec(authorization)?.[1]
    const { spiffeId, expiresAt, claims } = await verifyJwtSvid(token ?? '', jwt)
    return { spiffeId, expiresAt, claims, proof: 'jwt' }
  }
  const peer = x509 ? peerOf(socket) : undefined
  if (peer === undefined) throw new ApostilleError('there is no SVID', { code: 'no_svid' })
  return { ...peer, claims: {}, proof: 'x509' }
}

/** @throws what is none of the caller's business */
function refusalOf(error: unknown, showedToken: boolean): CallerRefusal {
  if (error instanceof ProtocolError) return refuse(401, 'proof_rejected', { 'www-authenticate': bearer(true) })
  if (!(error instanceof ApostilleError)) throw error
  if (error.code === 'no_svid') return refuse(401, 'proof_rejected', { 'www-authenticate': bearer(showedToken) })
  if (error.code === 'not_authorized') return refuse(403, 'not_entitled', {})
  // The keys are not to be had, which is not the caller's fault.
  return refuse(503, 'upstream_failed', { 'retry-after': '5' })
}

function bearer(showedToken: boolean): string {
  return showedToken ? 'Bearer error="invalid_token"' : 'Bearer'
}

const titles = {
  401: 'The proof of identity was not accepted',
  403: 'This caller may not do that',
  503: 'A service this depends on did not answer',
} as const

function refuse(status: keyof typeof titles, code: string, headers: Readonly<Record<string, string>>): CallerRefusal {
  const problem = { type: 'about:blank', title: titles[status], status, code }
  return { status, headers: { 'content-type': 'application/problem+json', ...headers }, body: JSON.stringify(problem) }
}
