/**
 * How the parts of the suite ask, and what they read of the answers.
 *
 * @module
 */
import { expect } from 'vitest'
import { makeWorkload } from '../../support/csr.ts'
import type { HttpSubject, SubjectRequest } from '../../support/http-subject.ts'
import { createOidcIssuer } from '../../support/oidc-issuer.ts'

export type Json = Readonly<Record<string, unknown>>

export const api = 'https://api.example.org'
export const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const jwtType = 'urn:ietf:params:oauth:token-type:jwt'
export const json = { 'content-type': 'application/json' }
export const workload = makeWorkload()
/** For the names of the table, which are needed before there is a gateway. */
export const anyIssuer = createOidcIssuer()

export type Run = () => HttpSubject

export function post(
  run: Run,
  path: string,
  body: unknown,
  headers: SubjectRequest['headers'] = {},
): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return run().fetch(path, { method: 'POST', headers: { ...json, ...headers }, body: text })
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
export const requestIdOf = (answer: Response) => answer.headers.get('x-request-id') ?? ''
export const jsonOf = async (answer: Response) => (await answer.json()) as Json
export const claimsOf = (token: unknown) =>
  JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString())

/** The problem that was answered, and the only record that was kept of it. */
export async function refusalOf(run: Run, answer: Response) {
  const problem = await jsonOf(answer)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(problem).toMatchObject({ status: answer.status, request_id: requestIdOf(answer) })
  const records = await run().recordsOf(requestIdOf(answer))
  expect(records).toHaveLength(1)
  return { status: answer.status, code: problem.code, detail: problem.detail, record: records[0] }
}
