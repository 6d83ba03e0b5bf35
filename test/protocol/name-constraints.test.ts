import { Buffer } from 'node:buffer'
import { expect, test } from 'vitest'
import type { Certificate } from '../../src/protocol/certificate.ts'
import type { NameConstraints } from '../../src/protocol/certificate-extensions.ts'
import { emptyName, organizationName } from '../../src/protocol/distinguished-name.ts'
import { satisfiesNameConstraints } from '../../src/protocol/name-constraints.ts'
import { createTestAuthority, nameConstraintsExtension } from '../support/certificate-authority.ts'

const sample = createTestAuthority().certificate
const none = { uris: [], dnsNames: [], emails: [], ips: [], others: [] }

/** A certificate with names such as `uri:spiffe://example.org/web`, as `kind:text`. */
function withNames(...names: readonly string[]): Certificate {
  const of = (kind: string) => names.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length))
  const subjectAltName = {
    critical: false,
    uris: of('uri:'),
    dnsNames: of('dns:'),
    emails: of('mail:'),
    ips: of('ip:').map((text) => Buffer.from(text, 'hex')),
    others: of('other:').map((text) => Buffer.from(text, 'hex')),
  }
  return { ...sample, subject: emptyName, subjectAltName }
}

function constraints(permitted: readonly string[], excluded: readonly string[]): NameConstraints {
  const extensions = [nameConstraintsExtension({ permitted, excluded })]
  return createTestAuthority({ extensions }).certificate.nameConstraints as NameConstraints
}

const web = 'uri:spiffe://example.org/web'

test.each<[string, readonly string[], readonly string[], readonly string[]]>([
  ['the host itself', [web], ['uri:example.org'], []],
  ['the host in another case', [web], ['uri:EXAMPLE.org'], []],
  ['one of many hosts', [web], ['uri:other.org', 'uri:example.org'], []],
  ['a host below a domain', ['uri:spiffe://a.example.org/web'], ['uri:.example.org'], []],
  ['every host', [web], ['uri:'], []],
  ['a host with a port', ['uri:https://example.org:8443/'], ['uri:example.org'], []],
  ['a host that is not excluded', [web], [], ['uri:other.org', 'uri:.example.org']],
  ['a domain itself', ['dns:example.org'], ['dns:example.org'], []],
  ['a name below a domain', ['dns:a.b.example.org'], ['dns:example.org'], []],
  ['a name below a dotted domain', ['dns:a.example.org'], ['dns:.example.org'], []],
  ['a wildcard below a domain', ['dns:*.example.org'], ['dns:example.org'], []],
  ['a wildcard beside what is excluded', ['dns:*.example.org'], [], ['dns:other.org']],
  ['names of a form that is not constrained', ['dns:other.org', 'mail:a@b'], ['uri:example.org'], []],
  ['an address in its net', ['ip:0a010203'], ['ip:0a000000ff000000'], []],
  ['no names at all', [], ['uri:example.org', 'mail:example.org'], []],
  ['no mail where mail is constrained', [web], ['mail:example.org'], ['mail:other.org']],
])('permits %s', (_, names, permitted, excluded) => {
  expect(satisfiesNameConstraints(withNames(...names), constraints(permitted, excluded))).toBe(true)
})

test.each<[string, readonly string[], readonly string[], readonly string[]]>([
  ['another host', [web], ['uri:example.com'], []],
  ['a host below a host', ['uri:spiffe://a.example.org/web'], ['uri:example.org'], []],
  ['the domain where hosts below it are meant', [web], ['uri:.example.org'], []],
  ['a host that only ends alike', ['uri:spiffe://badexample.org/web'], ['uri:.example.org'], []],
  ['one wrong host among right ones', [web, 'uri:spiffe://other.org/x'], ['uri:example.org'], []],
  ['an excluded host', [web], [], ['uri:example.org']],
  ['a host that is permitted and excluded', [web], ['uri:example.org'], ['uri:example.org']],
  ['any host where every host is excluded', [web], [], ['uri:']],
  ['a URI without a host, permitted', ['uri:urn:example.org'], ['uri:'], []],
  ['a URI without a host, excluded', ['uri:urn:a'], [], ['uri:example.org']],
  ['an address as host, permitted', ['uri:spiffe://10.0.0.1/web'], ['uri:10.0.0.1'], []],
  ['an address as host, excluded', ['uri:https://[::1]/'], [], ['uri:example.org']],
  ['user information before the host', ['uri:https://example.org@other.org/'], ['uri:other.org'], []],
  ['another domain', ['dns:example.com'], ['dns:example.org'], []],
  ['a domain that only ends alike', ['dns:badexample.org'], ['dns:example.org'], []],
  ['a domain where names below it are meant', ['dns:example.org'], ['dns:.example.org'], []],
  ['an excluded domain in another case', ['dns:A.EXAMPLE.ORG'], [], ['dns:example.org']],
  ['a wildcard that stands for an excluded name', ['dns:*.example.org'], [], ['dns:a.example.org']],
  ['an address of another net', ['ip:0b010203'], ['ip:0a000000ff000000'], []],
  ['an excluded address', ['ip:0a010203'], [], ['ip:0a000000ff000000']],
  ['an address of the other family', [`ip:${'00'.repeat(16)}`], ['ip:0000000000000000'], []],
  ['mail where mail is constrained', ['mail:a@example.org'], ['mail:example.org'], []],
  ['mail where mail is excluded', ['mail:a@example.org'], [], ['mail:other.org']],
  ['another form where one is constrained', ['other:880155'], ['id:\x01'], []],
])('refuses %s', (_, names, permitted, excluded) => {
  expect(satisfiesNameConstraints(withNames(...names), constraints(permitted, excluded))).toBe(false)
})

test('a directory name constraint is not interpreted, and refuses every subject but an empty one', () => {
  const directoryName = Buffer.concat([Buffer.of(0xa4, 2), emptyName])
  const held = { critical: true, permitted: { ...none, others: [directoryName] }, excluded: none }
  expect(satisfiesNameConstraints(withNames(web), held)).toBe(true)
  expect(satisfiesNameConstraints({ ...withNames(web), subject: organizationName('A') }, held)).toBe(false)
})

test('names without an extension for them satisfy everything', () => {
  expect(satisfiesNameConstraints({ ...withNames(), subjectAltName: undefined }, constraints(['uri:a'], []))).toBe(true)
})

test('more than 100,000 comparisons are not begun', () => {
  const patterns = Array.from({ length: 1000 }, () => 'example.org')
  const held = { critical: true, permitted: { ...none, dnsNames: patterns }, excluded: none }
  const names = (count: number) => withNames(...Array.from({ length: count }, () => 'dns:example.org'))
  expect(satisfiesNameConstraints(names(100), held)).toBe(true)
  expect(satisfiesNameConstraints(names(101), held)).toBe(false)
})
