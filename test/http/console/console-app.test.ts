import { expect, test } from 'vitest'
import { type ConsoleDeps, createConsoleApp } from '../../../src/http/console/console-app.ts'

const secret = 'eyJhbGciOiJub25lIn0'

/** Whose records are not to be had. */
function failing() {
  const logged: unknown[] = []
  const deps = {
    gateway: { configured: () => ({ config: { trustDomain: 'example.org' } }) },
    records: { list: () => Promise.reject(new Error(`near "${secret}"`)) },
    telemetry: { log: (...line: unknown[]) => logged.push(line) },
    newRequestId: () => 'abc',
    now: () => new Date(0),
  } as unknown as ConsoleDeps
  return { app: createConsoleApp(deps), logged }
}

const ask = (path: string) => failing().app.request(path, { headers: { host: 'localhost' } })

test.each(['/records', '/nothing', '/console.css'])('what protects a page is on %s to the letter', async (path) => {
  const { headers } = await ask(path)
  expect(Object.fromEntries(headers)).toMatchObject({
    'cache-control': 'no-store',
    'content-security-policy':
      "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  })
})

test('another name is refused with the same protection, and told nothing', async () => {
  const answer = await failing().app.request('/', { headers: { host: 'attacker.example' } })
  expect([answer.status, answer.headers.get('x-frame-options')]).toEqual([421, 'DENY'])
  expect(await answer.text()).not.toContain('example.org')
})

test('a failure of ours is told by its id, and what it says is in the log alone', async () => {
  const { app, logged } = failing()
  const answer = await app.request('/records', { headers: { host: 'localhost' } })
  const text = await answer.text()
  expect(answer.status).toBe(500)
  expect(text).toContain('The log has more of it at abc.')
  expect(text).not.toContain(secret)
  expect(logged).toMatchObject([['error', expect.any(String), { request_id: 'abc', error: expect.any(String) }]])
})
