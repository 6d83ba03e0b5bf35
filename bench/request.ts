/**
 * One HTTP request of a load, and the ones that the figures send.
 *
 * @module
 */
import { audience, type Workload } from './workload.ts'

export interface LoadRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export function jwtRequests({ token }: Workload): readonly LoadRequest[] {
  return [jwtRequest(token)]
}

/** @param token Undefined where a client certificate is the proof. */
export function jwtRequest(token: string | undefined): LoadRequest {
  return post(token, '/v1/svid/jwt', { audience: [audience] })
}

/** @param count JWT-SVIDs in one request. */
export function batchRequests({ token }: Workload, count: number): readonly LoadRequest[] {
  const requests = Array.from({ length: count }, () => ({ jwt: { audience: [audience] } }))
  return [post(token, '/v1/svids', { requests })]
}

/** One for each certificate request of the pool, so that no cache flatters. */
export function x509Requests({ token, csrs }: Workload): readonly LoadRequest[] {
  return csrs.map((csr) => post(token, '/v1/svid/x509', { csr }))
}

function post(token: string | undefined, path: string, body: unknown): LoadRequest {
  return {
    method: 'POST',
    path,
    headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
}
