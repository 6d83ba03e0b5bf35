/**
 * docs/policies.md: each configuration gives what the table below it says.
 *
 * A row is a proof (YAML: the name of its authenticator, then its attributes), a request (an operation, what it is about, and
 * `for` a time, `from` an address, `as` an ID, `at` a time), and the ID that gets it, or `no` with the reason.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { describe, expect, test } from 'vitest'
import type { AuthenticatedIdentity } from '../../src/core/authenticate.ts'
import { type Configuration, parseConfiguration } from '../../src/core/config.ts'
import { createConfigured } from '../../src/core/configured.ts'
import { type EntitleInput, entitle } from '../../src/core/entitle.ts'
import { type ExplainedRequest, explain } from '../../src/core/explain.ts'

interface Row {
  readonly proof: string
  readonly asks: string
  readonly gets: string
  /** What else is in the SVID: YAML. */
  readonly more: string
}

interface Wanted {
  readonly ttl?: string
  readonly [member: string]: unknown
}

interface Recipe {
  readonly title: string
  readonly text: string
  readonly rows: readonly Row[]
}

const page = readFileSync(join(import.meta.dirname, '../../docs/policies.md'), 'utf8')
// The header row of each table.
const header = /^\| proof \| asks for \| gets \|(?: with \|)?\n\|[-|]+\|\n/
const recipes: readonly Recipe[] = [...page.matchAll(/```yaml\n(.*?)```\n\n((?:\|[^\n]*\n)+)/gs)].map(
  ([, text = '', table = ''], at) => ({
    title: `${at + 1}, ${/name: (\S+?),?\s/.exec(text)?.[1]}`,
    text,
    rows: rowsOf(table),
  }),
)

function rowsOf(table: string): readonly Row[] {
  expect(table).toMatch(header)
  return table
    .replace(header, '')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [proof = '', asks = '', gets = '', more = ''] = line.slice(2, -1).split('|').map(stripCode)
      return { proof, asks, gets, more }
    })
}

function stripCode(cell: string): string {
  return cell.trim().replaceAll('`', '')
}

function configure(text: string) {
  const fixed = {
    trust_domain: 'example.org',
    issuer: 'https://id.example.org',
    listen: { address: '127.0.0.1:8443' },
    store: 'sqlite:./a.db',
    seal: { file: './seal.key' },
  }
  const config = parseConfiguration(JSON.stringify({ ...fixed, ...(load(text) as object) }))
  const deps = { now: () => new Date(0), monotonicMs: () => 0 } as Parameters<typeof createConfigured>[2]
  return createConfigured(config, [], deps)
}

function readProof(text: string, config: Configuration): AuthenticatedIdentity {
  const [[name, attributes] = ['', {}], ...others] = Object.entries(load(text) as Record<string, object>)
  const type = config.authenticators.get(name)?.type
  expect([type, others]).toEqual([expect.any(String), []])
  const told = attributes as AuthenticatedIdentity['attributes']
  return { authenticator: name, type: type as 'oidc', attributes: told, recorded: told, use: { kind: 'rules' } }
}

const seconds = { s: 1, m: 60, h: 3600 }
const secondsOf = (text: string) => Number.parseInt(text, 10) * seconds[text.at(-1) as keyof typeof seconds]
const idOf = (text: string) => (text.startsWith('/') ? `spiffe://example.org${text}` : text)

function readRequest(text: string): ExplainedRequest {
  const [plain = '', ...options] = text.split(/ (?=(?:for|from|as|at) )/)
  const [operation = '', ...about] = plain.split(' ')
  const {
    for: ttl,
    from: address = '',
    as: spiffeId,
    at = '2026-06-01T12:00:00Z',
  } = Object.fromEntries(options.map((option) => option.split(' ')))
  const [first = ''] = about
  const subjects: Readonly<Record<string, object>> = {
    x509_svid: {},
    jwt_svid: { audience: about },
    exchange: { target: first },
    read: { path: first },
    write: { path: first },
  }
  expect(Object.keys(subjects)).toContain(operation)
  return {
    operation: operation as ExplainedRequest['operation'],
    address,
    time: new Date(at),
    ...subjects[operation],
    ...(spiffeId && { spiffeId: idOf(spiffeId) }),
    ...(ttl && { ttlSeconds: secondsOf(ttl) }),
  }
}

async function entitled(input: Omit<EntitleInput, 'operation'>, operation: EntitleInput['operation']) {
  const granted = await entitle({ ...input, operation })
  if (!granted.granted) return {}
  const { dnsNames, claims } = granted.entitlement
  return { dns_names: dnsNames, claims, ttl: granted.ttlSeconds }
}

test('there are recipes to try, each with what it gives and what it does not', () => {
  expect(recipes.length).toBeGreaterThanOrEqual(20)
  expect(recipes.length).toBe([...page.matchAll(/```yaml\n/g)].length)
  for (const { title, rows } of recipes) {
    const answers = rows.map(({ gets }) => (gets.startsWith('no: ') ? 'no' : 'yes'))
    expect([title, [...new Set(answers)].length > 1 || title.includes('all')]).toEqual([title, true])
  }
})

describe.each(recipes)('recipe $title', ({ text, rows }) => {
  const configured = configure(text)
  const readJoinToken = async () => undefined

  test.each(rows)('$proof asks for $asks: $gets', async ({ proof, asks, gets, more }) => {
    const identity = readProof(proof, configured.config)
    const request = readRequest(asks)
    const { decision } = await explain({ configured, identity, request, readJoinToken })
    const said = [decision.reason, ...decision.notes].join('; ')
    if (gets.startsWith('no: ')) {
      expect([decision.granted, said]).toEqual([false, expect.stringContaining(gets.slice('no: '.length))])
      return
    }
    expect([decision.granted, decision.spiffeId, said]).toEqual([true, idOf(gets), expect.any(String)])
    if (more === '') return
    const { ttl, ...rest } = load(more.startsWith('{') ? more : `{ ${more} }`) as Wanted
    const { audience = [], ttlSeconds, address, time } = request
    const asked = request.operation === 'jwt_svid' && { audience }
    const input = {
      configured,
      identity,
      address,
      now: time,
      ...asked,
      readJoinToken,
      ...(ttlSeconds && { ttlSeconds }),
    }
    const wanted = { ...rest, ...(ttl && { ttl: secondsOf(ttl) }) }
    const found = await entitled(input, request.operation)
    expect(Object.fromEntries(Object.keys(wanted).map((key) => [key, found[key as keyof typeof found]]))).toEqual(
      wanted,
    )
  })
})
