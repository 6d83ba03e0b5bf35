import { expect, test } from 'vitest'
import { problemError } from '../../src/cli/problem.ts'

const problem = (detail: string) => ({ title: 'The request is malformed', code: 'malformed_request', detail })

test.each([
  ['ttl_seconds: at most 300', '--ttl: at most 5m'],
  ['ttl_seconds: at most 5400', '--ttl: at most 1h30m'],
  ['audience: at most 1', '--audience: at most 1'],
  ['audience[0]: expected a text', '--audience[0]: expected a text'],
  ['csr: not a certificate request', 'csr: not a certificate request'],
  ['toString: x', 'toString: x'],
  ['unknown field in the body', 'unknown field in the body'],
])('%s is told as %s', (detail, told) => {
  const { message } = problemError(400, problem(detail), { who: 'operator' })
  expect(message).toBe(`The request is malformed (malformed_request): ${told}`)
})
