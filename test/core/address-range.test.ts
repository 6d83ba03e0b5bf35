import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isInRange, parseAddress, parseAddressRange } from '../../src/core/address-range.ts'

test.each([
  ['10.0.0.1', '10.0.0.0/8', true],
  ['11.0.0.1', '10.0.0.0/8', false],
  ['10.0.0.1', '10.0.0.1/32', true],
  ['10.0.0.2', '10.0.0.1/32', false],
  ['203.0.113.9', '0.0.0.0/0', true],
  ['172.31.255.255', '172.16.0.0/12', true],
  ['172.32.0.0', '172.16.0.0/12', false],
  ['2001:db8::1', '2001:db8::/32', true],
  ['2001:db9::1', '2001:db8::/32', false],
  ['2001:DB8::1', '2001:db8::/32', true],
  ['::1', '::1/128', true],
  ['::1', '::/0', true],
  ['fe80::1%eth0', 'fe80::/10', true],
  ['::ffff:10.1.2.3', '10.0.0.0/8', true],
  ['::ffff:a01:203', '10.0.0.0/8', true],
  ['10.1.2.3', '::ffff:10.0.0.0/104', true],
  ['11.1.2.3', '::ffff:10.0.0.0/104', false],
  ['10.1.2.3', '::/0', false],
  ['::1', '0.0.0.0/0', false],
])('%s in %s: %s', (text, cidr, expected) => {
  const address = parseAddress(text)
  const range = parseAddressRange(cidr)
  expect(typeof range).toBe('object')
  expect(address && typeof range === 'object' && isInRange(address, range)).toBe(expected)
})

test.each([
  '',
  'localhost',
  '10.0.0',
  '10.0.0.256',
  '10.0.0.01',
  '10.0.0.0.0',
  ' 10.0.0.1',
  '10.0.0.1%eth0',
  '::1%',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8',
  '12345::',
  '::10.0.0.256',
  '10.0.0.1::',
  'g::',
])('%j is no address', (text) => {
  expect(parseAddress(text)).toBeUndefined()
})

test.each([
  ['10.0.0.0', 'prefix length'],
  ['10.0.0.0/33', 'not an address range'],
  ['10.0.0.0/-1', 'not an address range'],
  ['10.0.0.0/08', 'not an address range'],
  ['10.0.0.0/', 'not an address range'],
  ['::/129', 'not an address range'],
  ['ten/8', 'not an address range'],
  ['10.0.0.1/8', 'beyond the prefix'],
  ['2001:db8::1/32', 'beyond the prefix'],
])('%j is no range: %s', (text, message) => {
  expect(parseAddressRange(text)).toEqual(expect.stringContaining(message))
})

test('an address lies in its own range of every length, and not once a covered bit is turned', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 1, max: 32 }), fc.nat({ max: 31 }), (text, prefixLength, bit) => {
      const address = parseAddress(text) ?? []
      const network = address.map(
        (byte, index) => byte & (0xff00 >> Math.min(Math.max(prefixLength - index * 8, 0), 8)) & 0xff,
      )
      const turned = network.map((byte, index) => (index === bit >> 3 ? byte ^ (0x80 >> (bit & 7)) : byte))
      const range = { network, prefixLength }
      expect(isInRange(address, range)).toBe(true)
      expect(isInRange(turned, range)).toBe(bit >= prefixLength)
    }),
  )
})
