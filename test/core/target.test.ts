import { expect, test } from 'vitest'
import type { Variables } from '../../src/core/expression.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'
import { type Members, targetOf } from '../support/exchanger.ts'

const aws = (more: Members = {}) =>
  targetOf({ type: 'aws', role_arn: 'arn:aws:iam::123456789012:role/payments', region: 'eu-west-1', ...more })
const azure = () =>
  targetOf({
    type: 'azure',
    tenant: 'contoso.example',
    client_id: '66666666-7777-8888-9999-000000000000',
  })

const web = parseSpiffeId('spiffe://example.org/ns/web')
const shop = parseSpiffeId('spiffe://example.org/ns/shop')

function variables(rule: string, address: string): Variables {
  const identity = {
    spiffe_id: web.uri,
    trust_domain: 'example.org',
    path: web.path,
    authenticator: 'a',
    rule,
    claims: {},
  }
  const request = { operation: 'exchange', time: new Date(0), address, audience: 'sts.amazonaws.com' }
  return { identity, request, target: { name: 'there', type: 'aws' } }
}

const plain = variables('workloads', '10.0.0.1')

test('a session is the same for the same identity, whoever asks', () => {
  const target = aws({ source_identity: true })
  const session = target.sessionOf(web, plain)
  expect(session.name).toMatch(/^ns\.web-[0-9a-f]{8}$/)
  expect(session.claims).toEqual({ 'https://aws.amazon.com/source_identity': session.name })
  expect(target.sessionOf(web, variables('others', '10.0.0.2'))).toEqual(session)
  expect(target.sessionOf(parseSpiffeId(web.uri), plain)).toEqual(session)
  expect(target.sessionOf(shop, plain).name).toMatch(/^ns\.shop-[0-9a-f]{8}$/)
})

test.each<[string, Members]>([
  ['the name', { session_name: '${identity.rule}' }],
  ['a tag', { tags: { rule: '${identity.rule}' } }],
])('%s by a template is filled for each request', (_, templates) => {
  const target = aws(templates)
  const said = ['first', 'second', 'first'].map((rule) => target.sessionOf(web, variables(rule, '10.0.0.1')))
  expect(said[1]?.key).not.toBe(said[0]?.key)
  expect(said[2]).toEqual(said[0])
  expect(JSON.stringify(said[1])).toContain('second')
})

test('what differs in target, identity or session has keys that differ', () => {
  const sessions = [
    aws().sessionOf(web, plain),
    aws().sessionOf(shop, plain),
    aws({ session_duration: '20m' }).sessionOf(web, plain),
    aws({ tags: { rule: '${identity.rule}' } }).sessionOf(web, plain),
    aws({ tags: { rule: '${identity.rule}' } }).sessionOf(web, variables('others', '10.0.0.1')),
    azure().sessionOf(web, plain),
  ]
  expect(new Set(sessions.map(({ key }) => key)).size).toBe(sessions.length)
})
