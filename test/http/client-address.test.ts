import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalAddress, createAddressReader } from '../../src/http/client-address.ts'

const read = (from: readonly string[], peer: string, forwarded: string | undefined, header = 'x-forwarded-for') =>
  createAddressReader({ from, header })(peer, (name) => (name === header.toLowerCase() ? forwarded : undefined))

test.each<[string, readonly string[], string, string | undefined, string]>([
  ['a peer that is no proxy', ['10.0.0.0/8'], '192.0.2.1', '203.0.113.9', '192.0.2.1'],
  ['one proxy', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9', '203.0.113.9'],
  ['two proxies', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9, 10.0.0.2', '203.0.113.9'],
  ['what the caller wrote itself', ['10.0.0.0/8'], '10.0.0.1', '8.8.8.8, 203.0.113.9', '203.0.113.9'],
  ['a caller who says it is a proxy', ['10.0.0.0/8'], '10.0.0.1', '10.0.0.9, 203.0.113.9', '203.0.113.9'],
  ['proxies only', ['10.0.0.0/8'], '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['no header', ['10.0.0.0/8'], '10.0.0.1', undefined, ''],
  ['an empty header', ['10.0.0.0/8'], '10.0.0.1', '', ''],
  ['no address', ['10.0.0.0/8'], '10.0.0.1', 'unknown', ''],
  ['no address before one', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9, unknown', ''],
  ['no address before a proxy', ['10.0.0.0/8'], '10.0.0.1', 'unknown, 10.0.0.2', ''],
  ['an address with a port', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9:443', '203.0.113.9'],
  ['a proxy with a port', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9:1, 10.0.0.2:443', '203.0.113.9'],
  ['IPv6 with a port', ['10.0.0.0/8'], '10.0.0.1', '[2001:db8::9]:443', '2001:db8::9'],
  ['IPv6 in brackets', ['10.0.0.0/8'], '10.0.0.1', '[2001:db8::9]', '2001:db8::9'],
  ['IPv4 in brackets', ['10.0.0.0/8'], '10.0.0.1', '[203.0.113.9]:443', ''],
  ['a port that is none', ['10.0.0.0/8'], '10.0.0.1', '203.0.113.9:https', ''],
  ['IPv4 in IPv6', ['10.0.0.0/8'], '::ffff:10.0.0.1', '::ffff:203.0.113.9', '203.0.113.9'],
  ['IPv6', ['fd00::/8'], 'fd00::1', '2001:db8::9', '2001:db8::9'],
  ['an IPv6 proxy of another network', ['fd00::/8'], 'fe80::1', '2001:db8::9', 'fe80::1'],
  ['several networks', ['10.0.0.0/8', 'fd00::/8'], 'fd00::1', '203.0.113.9, 10.0.0.1', '203.0.113.9'],
])('of %s', (_, from, peer, forwarded, address) => {
  expect(read(from, peer, forwarded)).toBe(address)
})

test('the header of the configuration has no case', () => {
  expect(read(['10.0.0.0/8'], '10.0.0.1', '203.0.113.9', 'X-Real-IP')).toBe('203.0.113.9')
})

test('without trusted proxies it is the peer, in one spelling', () => {
  expect(createAddressReader(undefined)('::ffff:192.0.2.1', () => '8.8.8.8')).toBe('192.0.2.1')
  expect(canonicalAddress('::1')).toBe('::1')
})

test('whatever a caller writes, what the proxy adds behind it counts', () => {
  fc.assert(
    fc.property(fc.string(), fc.ipV4(), (written, caller) => {
      fc.pre(!caller.startsWith('10.'))
      expect(read(['10.0.0.0/8'], '10.0.0.1', `${written}, ${caller}`)).toBe(caller)
    }),
  )
})
