import { expect, test } from 'vitest'
import { anyIssuer, bearer, type Json, jsonOf, type Run, refusalOf, requestIdOf } from './asking.ts'

const planted = 'planted-Value-7c1e'
let paths = 0
/** One that no other test has, as all share a gateway. */
const newPath = () => `team/secret-${++paths}`

/** Our own secrets over HTTP: who may do what, the wire of KV v2, and the records. */
export function kv(run: Run): void {
  const proofOf = (sub: string) => bearer(run().issuer.token({ sub }))
  const ask = (method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) =>
    run().fetch(`/v1/kv/${path}`, {
      method,
      headers: {
        ...proofOf('build'),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  const put = (path: string, data: Json, options?: Json) =>
    ask('POST', `data/${path}`, { data, ...(options && { options }) })
  const recordOf = async (answer: Response) => (await run().recordsOf(requestIdOf(answer)))[0]
  const read = async (path: string) => (await jsonOf(await ask('GET', `data/${path}`)))['data'] as Json

  test('a secret is written and read, and both are on record', async () => {
    const path = newPath()
    const written = await put(path, { user: 'u', password: planted })
    expect([written.status, written.headers.get('cache-control')]).toEqual([200, 'no-store'])
    const facts = (await jsonOf(written))['data']
    expect(facts).toEqual({
      version: 1,
      created_time: expect.stringMatching(/^\d{4}-.*Z$/),
      deletion_time: '',
      destroyed: false,
      custom_metadata: null,
    })
    const answer = await ask('GET', `data/${path}`)
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(await jsonOf(answer)).toEqual({ data: { data: { user: 'u', password: planted }, metadata: facts } })
    const said = { decision: 'granted', spiffe_id: 'spiffe://example.org/ci/build', rule: 'jobs', policy: 'team' }
    const details = { path, version: 1 }
    expect(await recordOf(written)).toMatchObject({ operation: 'kv.write', ...said, details })
    expect(await recordOf(answer)).toMatchObject({ operation: 'kv.read', ...said, details })
    for (const of of [written, answer])
      expect(JSON.stringify(await run().recordsOf(requestIdOf(of)))).not.toContain(planted)
  })

  test('older versions are read by number, and 0 is the current one', async () => {
    const path = newPath()
    await put(path, { a: 1 })
    expect((await ask('PUT', `data/${path}`, { data: { a: 2 }, options: { cas: 1 } })).status).toBe(200)
    const valueAt = async (query: string) => (await read(`${path}${query}`))['data']
    expect(await Promise.all(['?version=1', '?version=2', '?version=0', ''].map(valueAt))).toEqual([
      { a: 1 },
      { a: 2 },
      { a: 2 },
      { a: 2 },
    ])
    expect((await ask('GET', `data/${path}?version=3`)).status).toBe(404)
  })

  test('check-and-set holds', async () => {
    const path = newPath()
    expect((await put(path, { a: 1 }, { cas: 0 })).status).toBe(200)
    const refusal = await refusalOf(run, await put(path, { a: 2 }, { cas: 0 }))
    expect(refusal).toMatchObject({ status: 409, code: 'conflict', detail: 'cas: the current version is 1' })
    expect(refusal.record).toMatchObject({ operation: 'kv.write', decision: 'refused', details: { path } })
    await ask('POST', `metadata/${path}`, { cas_required: true })
    expect((await put(path, { a: 2 })).status).toBe(400)
    expect((await put(path, { a: 2 }, { cas: 1 })).status).toBe(200)
  })

  test('of several writers with check-and-set one succeeds', async () => {
    const path = newPath()
    const answers = await Promise.all([1, 2, 3, 4, 5].map((a) => put(path, { a }, { cas: 0 })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409, 409])
  })

  test('several writers without it each have their version', async () => {
    const path = newPath()
    const answers = await Promise.all([1, 2, 3, 4, 5].map((a) => put(path, { a })))
    const versions = await Promise.all(
      answers.map(async (answer) => ((await jsonOf(answer))['data'] as Json)['version']),
    )
    expect(versions.toSorted()).toEqual([1, 2, 3, 4, 5])
  })

  test.each(['application/merge-patch+json', 'application/json'])(
    'a patch of %s changes what it names',
    async (type) => {
      const path = newPath()
      await put(path, { a: 1, b: 2 })
      const answer = await ask('PATCH', `data/${path}`, { data: { b: null, c: 3 } }, { 'content-type': type })
      expect([answer.status, (await read(path))['data']]).toEqual([200, { a: 1, c: 3 }])
      expect(await recordOf(answer)).toMatchObject({ operation: 'kv.patch', details: { path, version: 2 } })
    },
  )

  test('what is deleted is a 404 with what is known of it, until it is undeleted', async () => {
    const path = newPath()
    await put(path, { a: planted })
    const deleted = await ask('DELETE', `data/${path}`)
    expect([deleted.status, await deleted.text()]).toEqual([204, ''])
    expect(await recordOf(deleted)).toMatchObject({ operation: 'kv.delete', details: { path, versions: [1] } })
    const gone = await ask('GET', `data/${path}`)
    expect([gone.status, gone.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
    expect(await jsonOf(gone)).toMatchObject({
      code: 'not_found',
      request_id: requestIdOf(gone),
      data: { data: null, metadata: { version: 1, deletion_time: expect.stringMatching(/Z$/), destroyed: false } },
    })
    expect(await run().recordsOf(requestIdOf(gone))).toMatchObject([
      { operation: 'kv.read', decision: 'refused', code: 'not_found', details: { path, version: 1 } },
    ])
    expect((await ask('POST', `undelete/${path}`, { versions: [1] })).status).toBe(204)
    expect((await read(path))['data']).toEqual({ a: planted })
  })

  test('what is destroyed stays so', async () => {
    const path = newPath()
    await put(path, { a: 1 })
    await put(path, { a: 2 })
    expect((await ask('POST', `delete/${path}`, { versions: [2] })).status).toBe(204)
    expect((await ask('PUT', `destroy/${path}`, { versions: [1, 2] })).status).toBe(204)
    expect((await ask('POST', `undelete/${path}`, { versions: [2] })).status).toBe(409)
    const { data } = await jsonOf(await ask('GET', `data/${path}?version=1`))
    expect(data).toMatchObject({ data: null, metadata: { destroyed: true } })
  })

  test('the history tells of all versions, and settings hold', async () => {
    const path = newPath()
    const settings = { custom_metadata: { owner: 'payments' }, max_versions: 2 }
    expect((await ask('POST', `metadata/${path}`, settings)).status).toBe(204)
    for (const a of [1, 2, 3]) await put(path, { a })
    await ask('POST', `metadata/${path}`, { cas_required: true })
    const answer = await ask('GET', `metadata/${path}`)
    const version = { created_time: expect.any(String), deletion_time: '', destroyed: false }
    expect((await jsonOf(answer))['data']).toEqual({
      ...{ current_version: 3, oldest_version: 2, max_versions: 2, cas_required: true },
      ...{ custom_metadata: { owner: 'payments' }, created_time: expect.any(String), updated_time: expect.any(String) },
      versions: { 2: version, 3: version },
    })
    expect(await recordOf(answer)).toMatchObject({ operation: 'kv.history', details: { path } })
    expect((await ask('DELETE', `metadata/${path}`)).status).toBe(204)
    expect((await ask('GET', `metadata/${path}`)).status).toBe(404)
  })

  test('a folder is listed page by page', async () => {
    const folder = newPath()
    for (const name of ['b', 'a', 'c/d', 'c/e']) await put(`${folder}/${name}`, {})
    const first = await ask('GET', `metadata/${folder}?list=true&limit=2`)
    expect(await jsonOf(first)).toEqual({ data: { keys: ['a', 'b'] }, next: 'b' })
    expect(await recordOf(first)).toMatchObject({ operation: 'kv.list', details: { path: `${folder}/` } })
    const second = await ask('GET', `metadata/${folder}/?list=true&limit=2&after=b`)
    expect(await jsonOf(second)).toEqual({ data: { keys: ['c/'] }, next: null })
    expect((await ask('GET', `metadata/${folder}/x?list=true`)).status).toBe(404)
  })

  test.each([
    ['a path that no policy names', 'build', 'GET', 'data/other/x', 'no policy permits it'],
    ['a list that no policy names', 'build', 'GET', 'metadata/?list=true', 'no policy permits it'],
    ['a folder beside the one that is named', 'build', 'GET', 'metadata/team-b?list=true', 'no policy permits it'],
    ['what is forbidden', 'build', 'GET', 'data/team/closed', 'forbidden by closed'],
    ['a write of one who may read', 'reader', 'DELETE', 'data/team/x', 'no policy permits it'],
    ['the end of a secret of one who may read', 'reader', 'DELETE', 'metadata/team/x', 'no policy permits it'],
    ['somebody else', 'other', 'GET', 'data/team/x', 'no policy permits it'],
    ['whom no rule knows', 'nobody', 'GET', 'data/team/x', 'no identity rule gives'],
  ])('%s is refused, whether there is something or not', async (_, subject, method, path, reason) => {
    const refusal = await refusalOf(run, await ask(method, path, undefined, proofOf(subject)))
    expect(refusal).toMatchObject({ status: 403, code: 'not_entitled', detail: undefined })
    expect(refusal.record).toMatchObject({ decision: 'refused', reason: expect.stringContaining(reason) })
  })

  test('what is not there is not found by who may look', async () => {
    const refusal = await refusalOf(run, await ask('GET', 'data/team/none', undefined, proofOf('reader')))
    expect(refusal).toMatchObject({ status: 404, code: 'not_found' })
    expect(refusal.record).toMatchObject({
      ...{ operation: 'kv.read', spiffe_id: 'spiffe://example.org/ci/reader', details: { path: 'team/none' } },
    })
  })

  test.each([
    ['no proof', {}],
    ['another scheme', { authorization: 'Basic a' }],
    ['a token alone', { authorization: anyIssuer.token() }],
    ['a forged token', { authorization: `Bearer ${anyIssuer.token()}x` }],
  ])('%s is no proof', async (_, headers) => {
    const answer = await run().fetch('/v1/kv/data/team/x', { headers })
    expect(await refusalOf(run, answer)).toMatchObject({ status: 401, code: 'proof_rejected' })
  })

  test('a join token spends a use for what is granted, and none for what is not', async () => {
    const path = newPath()
    await put(path, { a: 1 })
    const { token } = await run().joinToken(1)
    const by = (method: string, of: string) => ask(method, `data/${of}`, undefined, bearer(token))
    expect((await by('DELETE', path)).status).toBe(403)
    expect((await by('GET', 'team/none')).status).toBe(404)
    expect((await by('GET', path)).status).toBe(200)
    expect((await by('GET', path)).status).toBe(401)
  })

  test('the identity may be named', async () => {
    const query = (id: string) => `data/team/none?spiffe_id=${encodeURIComponent(`spiffe://example.org/${id}`)}`
    expect((await refusalOf(run, await ask('GET', query('ci/build')))).status).toBe(404)
    const refusal = await refusalOf(run, await ask('GET', query('build')))
    expect([refusal.status, refusal.record?.spiffe_id]).toEqual([403, 'spiffe://example.org/build'])
  })

  test.each([
    'a//b',
    '/a',
    'a/',
    '',
    'a%2Fb',
    'a%2f..%2fb',
    '%252e%252e/b',
    'a%00',
    'a%0a',
    'a%5cb',
    'a\\..\\b',
    'a%20b',
    'a;b',
    'a+b',
    '%C3%A9',
    '%ff',
    '%',
    '%7Eb',
    'a'.repeat(513),
  ])('data/%j is no path, on every route', async (path) => {
    for (const [method, route, body] of [
      ['GET', 'data'],
      ['DELETE', 'data'],
      ['POST', 'data', { data: {} }],
      ['POST', 'destroy', { versions: [1] }],
      ['DELETE', 'metadata'],
    ] as const) {
      const answer = await ask(method, `${route}/${path}`, body)
      expect([method, route, answer.status]).toEqual([
        method,
        route,
        path === 'a\\..\\b' ? expect.toBeOneOf([400, 403]) : 400,
      ])
    }
  })

  test('a path is decoded once', async () => {
    const path = newPath()
    await put(path, { a: 1 })
    const encoded = [...path].map((unit) => (unit === '/' ? unit : `%${unit.charCodeAt(0).toString(16)}`)).join('')
    expect((await read(encoded))['data']).toEqual({ a: 1 })
  })

  test.each<[string, string, string, unknown, number]>([
    ['data that is no object', 'POST', 'data', { data: [planted] }, 400],
    ['no data', 'POST', 'data', {}, 400],
    ['an unknown field', 'POST', 'data', { data: {}, more: planted }, 400],
    ['an unknown option', 'POST', 'data', { data: {}, options: { ttl: 1 } }, 400],
    ['a check-and-set that is no number', 'POST', 'data', { data: {}, options: { cas: '1' } }, 400],
    ['an empty key', 'POST', 'data', { data: { '': planted } }, 400],
    ['a repeated key', 'POST', 'data', '{"data":{"a":1,"a":2}}', 400],
    ['no JSON', 'POST', 'data', planted, 400],
    ['more than 64 KiB', 'POST', 'data', { data: { a: 'x'.repeat(66_000) } }, 400],
    ['more than 128 KiB', 'POST', 'data', { data: { a: 'x'.repeat(132_000) } }, 413],
    ['no versions', 'POST', 'delete', { versions: [] }, 400],
    ['a version 0', 'POST', 'destroy', { versions: [0] }, 400],
    ['a version that is not there', 'POST', 'undelete', { versions: [9] }, 404],
    ['too many versions to keep', 'POST', 'metadata', { max_versions: 101 }, 400],
    ['metadata that is no text', 'POST', 'metadata', { custom_metadata: { a: 1 } }, 400],
  ])('%s is refused, on record, and nothing of it is repeated', async (_, method, route, body, status) => {
    const path = newPath()
    await put(path, { a: 1 })
    const answer = await ask(method, `${route}/${path}`, body)
    const text = await answer.clone().text()
    const refusal = await refusalOf(run, answer)
    expect(refusal.status).toBe(status)
    expect(`${text}${JSON.stringify(refusal.record)}`).not.toContain(planted)
    expect((await read(path))['data']).toEqual({ a: 1 })
  })

  test.each(['version=x', 'version=1&version=2', 'version=-1', 'list=true', 'more=1', 'spiffe_id=x'])(
    'GET data/…?%s is refused',
    async (query) => {
      expect((await ask('GET', `data/team/x?${query}`)).status).toBe(400)
    },
  )

  test.each([
    'list=1',
    'list=true&limit=0',
    'list=true&limit=1001',
    'list=true&list=true',
    'list=true&more=1',
    'list=true&after=%00',
  ])('GET metadata/…?%s is refused', async (query) => {
    expect((await ask('GET', `metadata/team?${query}`)).status).toBe(400)
  })

  test('a body is JSON', async () => {
    const answer = await ask('POST', 'data/team/x', '{"data":{}}', { 'content-type': 'text/plain' })
    expect((await refusalOf(run, answer)).status).toBe(415)
  })

  test.each([
    ['PATCH', 'metadata/team/x', 'GET, LIST, POST, PUT, DELETE, HEAD'],
    ['GET', 'destroy/team/x', 'POST, PUT'],
    ['OPTIONS', 'data/team/x', 'GET, POST, PUT, PATCH, DELETE, HEAD'],
  ])('%s %s is not taken', async (method, path, allow) => {
    const answer = await ask(method, path)
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
  })

  test.each(['config', 'subkeys/team/x', 'Data/team/x', 'd%61ta/team/x', ''])('/v1/kv/%s is nothing', async (path) => {
    expect((await ask('GET', path)).status).toBe(404)
  })
}
