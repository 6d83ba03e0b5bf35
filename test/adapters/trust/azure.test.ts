import { describe, expect, test } from 'vitest'
import { azureTrust } from '../../../src/adapters/trust/azure.ts'
import { formatScript } from '../../../src/adapters/trust/shell.ts'
import type { SignatureAlgorithm } from '../../../src/protocol/algorithms.ts'
import { parseSpiffeId } from '../../../src/protocol/spiffe-id.ts'
import { type Members, targetOf } from '../../support/exchanger.ts'
import { readHcl } from '../../support/hcl.ts'
import { hostileTexts } from '../../support/hostile-texts.ts'
import { runScript } from '../../support/shell.ts'

const azure = { type: 'azure', tenant: 'contoso.example', client_id: '66666666-7777-8888-9999-000000000000' }
const idOf = (path: string) => parseSpiffeId(`spiffe://example.org${path}`)
const issuer = 'https://id.example.org'

interface Facts {
  readonly issuer?: string
  readonly paths?: readonly string[]
  readonly algorithm?: SignatureAlgorithm
}

function codesOf(more: Members, facts: Facts = {}) {
  const target = targetOf({ ...azure, ...more })
  const found = azureTrust.findProblems({
    issuer: facts.issuer ?? issuer,
    target,
    subjects: (facts.paths ?? ['/ns/payments']).map(idOf),
    algorithm: facts.algorithm ?? 'RS256',
    targets: [target],
  })
  return found.map(({ code, severity }) => `${severity} ${code}`)
}

test.each([
  ['/ns/payments/sa/api', /^apostille-ns-payments-sa-api-[0-9a-f]{8}$/],
  ['/a.b/_c', /^apostille-a-b-_c-[0-9a-f]{8}$/],
  [`/${'x'.repeat(500)}`, /^apostille-x{55}-[0-9a-f]{8}$/],
])('the credential of %s has a name that Entra takes', (path, name) => {
  const { documents } = azureTrust.build({ issuer, target: targetOf(azure), subjects: [idOf(path)] })
  const [credential] = documents['federated_credentials'] as readonly { readonly name: string }[]
  expect(credential?.name).toMatch(name)
  expect(credential?.name).toMatch(/^[A-Za-z0-9][\w-]{2,119}$/)
})

describe('whatever the audience is', () => {
  test.each(hostileTexts.map((text) => [text]))('%j', (audience) => {
    const target = targetOf({ ...azure, audience })
    const subjects = [idOf('/ns/payments')]
    const app = azureTrust.build({ issuer, target, subjects })
    const ran = runScript(formatScript([], app.steps), ['az'])
    const credential = JSON.parse(ran.file(ran.commands[0]?.flag('--parameters')?.slice(1) ?? ''))
    ran.remove()
    expect(app.documents['federated_credentials']).toEqual([credential])
    expect(credential.audiences).toEqual([audience])
    expect(readHcl(app.terraform)[1]?.attributes['audiences']).toEqual([audience])

    const identity = azureTrust.build({ issuer, target, subjects, managedIdentity: true })
    const other = runScript(formatScript([], identity.steps), ['az'])
    other.remove()
    // One that `az` would take for the name of a file comes from a file.
    const given = other.commands[2]?.flag('--audiences')
    expect(given).toEqual(audience.startsWith('@') ? expect.stringMatching(/^@\/dev\/fd\/\d+$/) : audience)
  })
})

test.each<[string, Members, Facts, readonly string[]]>([
  ['nothing', {}, {}, []],
  ['an issuer with a port, which Entra takes', {}, { issuer: 'https://id.example.org:8443' }, []],
  ['a long issuer', {}, { issuer: `https://id.example.org/${'x'.repeat(600)}` }, ['error issuer_too_long']],
  ['another algorithm', {}, { algorithm: 'ES256' }, ['error algorithm_refused']],
  ['a long subject', {}, { paths: [`/${'x'.repeat(600)}`] }, ['error subject_too_long']],
  ['an audience with a blank', { audience: 'api://x ' }, {}, ['error audience_blank']],
  ['20 subjects', {}, { paths: Array.from({ length: 20 }, (_, n) => `/${n}`) }, []],
  ['21 subjects', {}, { paths: Array.from({ length: 21 }, (_, n) => `/${n}`) }, ['error too_many_credentials']],
])('it finds %s', (_, more, facts, codes) => {
  expect(codesOf(more, facts)).toEqual(codes)
})

test('its clock is that of the authority host', async () => {
  const target = targetOf({ ...azure, authority_host: 'https://login.microsoftonline.us' })
  expect(await azureTrust.clockUrl(target)).toBe('https://login.microsoftonline.us')
})

test.each([
  [19, []],
  [20, ['warning application_shared']],
])('credentials of %s other targets of one application', (count, codes) => {
  const target = targetOf({ ...azure, acts_as: '/a' })
  const others = Array.from({ length: count }, (_, n) => targetOf({ ...azure, acts_as: `/other/${n}` }, `other-${n}`))
  const same = targetOf({ ...azure, acts_as: '/a' }, 'same')
  const facts = { issuer, target, subjects: [idOf('/a')], algorithm: 'RS256' as const }
  const found = azureTrust.findSharing({ ...facts, targets: [target, same, ...others] })
  expect(found.map(({ code, severity }) => `${severity} ${code}`)).toEqual(codes)
})
