import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { gcpTrust } from '../../../src/adapters/trust/gcp.ts'
import { formatScript } from '../../../src/adapters/trust/shell.ts'
import type { SignatureAlgorithm } from '../../../src/protocol/algorithms.ts'
import { parseSpiffeId } from '../../../src/protocol/spiffe-id.ts'
import { holdsCondition, mapAttributes } from '../../support/clouds/google-mapping.ts'
import type { GoogleProvider } from '../../support/clouds/google-project.ts'
import { type Members, targetOf } from '../../support/exchanger.ts'
import { readHcl } from '../../support/hcl.ts'
import { hostileTexts } from '../../support/hostile-texts.ts'
import { runScript } from '../../support/shell.ts'

const pool = 'projects/123456789/locations/global/workloadIdentityPools/workloads'
const gcp = { type: 'gcp', provider: `${pool}/providers/apostille` }
const idOf = (path: string) => parseSpiffeId(`spiffe://example.org${path}`)
const issuer = 'https://id.example.org'

const build = (more: Members = {}, paths: readonly string[] = ['/ns/payments']) =>
  gcpTrust.build({ issuer, target: targetOf({ ...gcp, ...more }), subjects: paths.map(idOf) })

interface Facts {
  readonly issuer?: string
  readonly paths?: readonly string[]
  readonly algorithm?: SignatureAlgorithm
}

function codesOf(facts: Facts = {}) {
  const target = targetOf(gcp)
  const found = gcpTrust.findProblems({
    issuer: facts.issuer ?? issuer,
    target,
    subjects: (facts.paths ?? ['/ns/payments']).map(idOf),
    algorithm: facts.algorithm ?? 'ES256',
    targets: [target],
  })
  return found.map(({ code, severity }) => `${severity} ${code}`)
}

const segment = fc.string({ unit: fc.constantFrom(...'abcdefghij-_9'), minLength: 1, maxLength: 60 })
const pathOf = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => `/${segments.join('/')}`)

test('the condition takes these subjects and no others, and the principals are what they are mapped to', () => {
  fc.assert(
    fc.property(fc.uniqueArray(pathOf, { minLength: 1, maxLength: 5 }), pathOf, (paths, stranger) => {
      const { documents } = build({}, paths)
      const { attributeMapping, attributeCondition = '' } = documents['provider'] as GoogleProvider
      const isTaken = (path: string) => {
        const claims = { sub: idOf(path).uri }
        const attributes = mapAttributes(attributeMapping, claims) ?? {}
        return holdsCondition(attributeCondition, claims, attributes) ? attributes['google.subject'] : undefined
      }
      const subjects = paths.map(isTaken)
      expect(documents['principals']).toEqual(
        subjects.map((text) => `principal://iam.googleapis.com/${pool}/subject/${text}`),
      )
      expect(new Set(subjects).size).toBe(paths.length)
      const tooLong = codesOf({ paths }).some((code) => code.endsWith('subject_too_long'))
      expect(subjects.some((text = '') => Buffer.byteLength(text) > 127)).toBe(tooLong)
      expect(isTaken(stranger) === undefined).toBe(!paths.includes(stranger))
    }),
  )
})

describe('whatever the audience is', () => {
  test.each(hostileTexts.map((text) => [text]))('%j', (audience) => {
    const { documents, steps, terraform } = build({ audience })
    const ran = runScript(formatScript([], steps), ['gcloud'])
    const given = ran.commands[1]?.flag('--allowed-audiences') ?? ''
    ran.remove()
    const [, separator = ',', list = given] = /^\^([^^]+)\^(.*)$/s.exec(given) ?? []
    expect(list.split(separator)).toEqual([audience])
    expect(documents['provider']).toMatchObject({ oidc: { allowedAudiences: [audience] } })
    expect(readHcl(terraform)[1]?.blocks[0]?.attributes['allowed_audiences']).toEqual([audience])
  })
})

test.each(["https://id.example.org/it's", 'https://id.example.org/a$b(c)', 'https://id.example.org/a&b;c'])(
  'an issuer with signs that shells know: %s',
  (odd) => {
    const { steps } = gcpTrust.build({ issuer: odd, target: targetOf(gcp), subjects: [idOf('/a')] })
    const ran = runScript(formatScript([odd], steps), ['gcloud'])
    ran.remove()
    expect(ran.commands[1]?.flag('--issuer-uri')).toBe(odd)
  },
)

test('a universe of its own has its own principals', () => {
  const { documents } = build({ universe: 'cloud.example.com' })
  expect(documents['principals']).toEqual([
    `principal://iam.cloud.example.com/${pool}/subject/spiffe://example.org/ns/payments`,
  ])
})

test.each<[string, Facts, readonly string[]]>([
  ['nothing', {}, []],
  ['an issuer with a port', { issuer: 'https://id.example.org:8443' }, ['error issuer_port']],
  ['another algorithm', { algorithm: 'ES384' }, ['error algorithm_refused']],
  ['a subject to map', { paths: [`/ns/${'x'.repeat(110)}`] }, ['warning subject_long']],
  ['a subject of which no part fits', { paths: [`/ns/${'x'.repeat(128)}`] }, ['error subject_too_long']],
  [
    'a condition that is too long',
    { paths: Array.from({ length: 100 }, (_, n) => `/ns/payments/sa/worker-${n}`) },
    ['error condition_too_long'],
  ],
])('it finds %s', (_, facts, codes) => {
  expect(codesOf(facts)).toEqual(codes)
})
