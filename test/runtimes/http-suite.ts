/**
 * The public API as callers see it, with the records that are kept of it. One suite for every runtime.
 *
 * @module
 */
import { afterAll, beforeAll, describe } from 'vitest'
import publicApi from '../../schema/openapi.json' with { type: 'json' }
import { createAnswerCheck } from '../support/described-answers.ts'
import type { HttpSubject } from '../support/http-subject.ts'
import { badInput } from './suite/bad-input.ts'
import { credentials } from './suite/credentials.ts'
import { kv } from './suite/kv.ts'
import { proofs } from './suite/proofs.ts'
import { publishedDocuments } from './suite/published-documents.ts'
import { routes } from './suite/routes.ts'
import { batches, joinTokens, svids } from './suite/svids.ts'
import { tokenExchange } from './suite/token-exchange.ts'

export function httpSuite(runtime: string, open: () => Promise<HttpSubject>): void {
  describe(runtime, () => {
    let subject: HttpSubject
    beforeAll(async () => {
      subject = checked(await open())
    })
    afterAll(() => subject.close())
    const run = () => subject

    describe('published documents', () => publishedDocuments(run))
    describe('routes', () => routes(run))
    describe('proofs', () => proofs(run))
    describe('SVIDs', () => svids(run))
    describe('batches', () => batches(run))
    describe('join tokens', () => joinTokens(run))
    describe('bad input', () => badInput(run))
    describe('credentials', () => credentials(run))
    describe('token exchange', () => tokenExchange(run))
    describe('secrets', () => kv(run))
  })
}

const check = createAnswerCheck(publicApi)

/** Every answer of the suite has to be one that the OpenAPI document describes. */
function checked(subject: HttpSubject): HttpSubject {
  return {
    ...subject,
    async fetch(path, request) {
      const answer = await subject.fetch(path, request)
      const { status, headers } = answer
      const seen = { status, header: (name: string) => headers.get(name), text: await answer.clone().text() }
      check({ method: request?.method ?? 'GET', path }, seen)
      return answer
    },
  }
}
