import { describe, expect, test } from 'vitest'
import { awsTrust } from '../../../src/adapters/trust/aws.ts'
import { formatScript } from '../../../src/adapters/trust/shell.ts'
import { parseSpiffeId } from '../../../src/protocol/spiffe-id.ts'
import { type Members, targetOf } from '../../support/exchanger.ts'
import { readHcl } from '../../support/hcl.ts'
import { hostileTexts } from '../../support/hostile-texts.ts'
import { runScript } from '../../support/shell.ts'

const aws = { type: 'aws', role_arn: 'arn:aws:iam::123456789012:role/payments', region: 'eu-west-1' }
const subject = parseSpiffeId('spiffe://example.org/ns/payments')
const issuer = 'https://id.example.org'

const build = (more: Members = {}, name = 'there') =>
  awsTrust.build({ issuer, target: targetOf({ ...aws, ...more }, name), subjects: [subject] })

function codesOf(more: Members, facts: { readonly issuer?: string; readonly paths?: readonly string[] } = {}) {
  const target = targetOf({ ...aws, ...more })
  const subjects = facts.paths?.map((path) => parseSpiffeId(`spiffe://example.org${path}`)) ?? [subject]
  const found = awsTrust.findProblems({
    issuer: facts.issuer ?? issuer,
    target,
    subjects,
    algorithm: 'ES256',
    targets: [target],
  })
  return found.map(({ code, severity }) => `${severity} ${code}`)
}

test('the provider and the policy name the issuer as it is written, path and slash included', () => {
  const target = targetOf({ ...aws, role_arn: 'arn:aws-cn:iam::123456789012:role/a/b/payments' })
  const { documents } = awsTrust.build({ issuer: 'https://id.example.org/TD/', target, subjects: [subject] })
  const arn = 'arn:aws-cn:iam::123456789012:oidc-provider/id.example.org/TD/'
  expect(documents).toMatchObject({
    oidc_provider: { arn, url: 'https://id.example.org/TD/', client_ids: ['sts.amazonaws.com'] },
    role: {
      trust_policy: {
        Statement: [
          {
            Principal: { Federated: arn },
            Condition: {
              StringEquals: {
                'id.example.org/TD/:aud': 'sts.amazonaws.com',
                'id.example.org/TD/:sub': subject.uri,
              },
            },
          },
        ],
      },
    },
  })
})

describe('whatever the audience is', () => {
  test.each(hostileTexts.map((text) => [text]))('%j', (audience) => {
    const { documents, steps, terraform } = build({ audience })
    const ran = runScript(formatScript([audience], steps), ['aws'])
    const [created, role] = ran.commands
    const input = created?.flag('--cli-input-json')
    const given = input === undefined ? [created?.flag('--client-id-list')] : JSON.parse(input).ClientIDList
    const policy = JSON.parse(ran.file(role?.flag('--assume-role-policy-document')?.slice('file://'.length) ?? ''))
    ran.remove()
    expect(ran.commands).toHaveLength(2)
    expect(given).toEqual([audience])
    expect(documents['role']).toMatchObject({ trust_policy: policy })
    // IAM puts a dollar sign for `${$}`.
    const said: string = policy.Statement[0].Condition.StringEquals['id.example.org:aud']
    expect(said.replaceAll(`\${$}`, '$')).toBe(audience)
    expect(readHcl(terraform)[0]?.attributes['client_id_list']).toEqual([audience])
  })
})

test.each([['-x'], ['--help'], ['a+b=c,d.e@f']])('a role called %s', (name) => {
  const { steps } = build({ role_arn: `arn:aws:iam::123456789012:role/${name}` })
  const ran = runScript(formatScript([], steps), ['aws'])
  ran.remove()
  expect(ran.commands[1]?.flag('--role-name')).toBe(name)
})

test.each<[string, Members, Parameters<typeof codesOf>[1], readonly string[]]>([
  ['nothing', {}, {}, []],
  ['an issuer with a port', {}, { issuer: 'https://id.example.org:8443' }, ['error issuer_port']],
  ['a long issuer', {}, { issuer: `https://id.example.org/${'x'.repeat(240)}` }, ['error issuer_too_long']],
  ['a long subject', {}, { paths: [`/${'x'.repeat(240)}`] }, ['error subject_too_long']],
  [
    'many subjects',
    {},
    { paths: Array.from({ length: 60 }, (_, n) => `/ns/payments/sa/${n}`) },
    ['warning trust_policy_too_long'],
  ],
])('it finds %s', (_, more, facts, codes) => {
  expect(codesOf(more, facts)).toEqual(codes)
})

test.each([
  [{}, 'https://sts.eu-west-1.amazonaws.com'],
  [{ endpoint: 'https://sts.private.example' }, 'https://sts.private.example'],
])('its clock is that of the endpoint', async (more, url) => {
  expect(await awsTrust.clockUrl(targetOf({ ...aws, ...more }))).toBe(url)
})
