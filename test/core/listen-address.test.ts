import { describe, expect, test } from 'vitest'
import { formatListenAddress, isLocal, parseListenAddress } from '../../src/core/listen-address.ts'

test.each([
  ['127.0.0.1:8443', { kind: 'tcp', host: '127.0.0.1', port: 8443 }, true],
  ['127.8.9.10:1', { kind: 'tcp', host: '127.8.9.10', port: 1 }, true],
  ['localhost:0', { kind: 'tcp', host: 'localhost', port: 0 }, true],
  ['[::1]:8443', { kind: 'tcp', host: '::1', port: 8443 }, true],
  ['0.0.0.0:65535', { kind: 'tcp', host: '0.0.0.0', port: 65_535 }, false],
  ['[::]:443', { kind: 'tcp', host: '::', port: 443 }, false],
  ['[fe80::1%eth0]:443', { kind: 'tcp', host: 'fe80::1%eth0', port: 443 }, false],
  ['id.example.org:443', { kind: 'tcp', host: 'id.example.org', port: 443 }, false],
  ['128.0.0.1:443', { kind: 'tcp', host: '128.0.0.1', port: 443 }, false],
  ['localhost.example.org:443', { kind: 'tcp', host: 'localhost.example.org', port: 443 }, false],
  ['unix:/run/a.sock', { kind: 'unix', path: '/run/a.sock' }, true],
  ['unix:./a b.sock', { kind: 'unix', path: './a b.sock' }, true],
] as const)('%s', (text, address, local) => {
  expect(parseListenAddress(text)).toEqual(address)
  expect(formatListenAddress(address)).toBe(text)
  expect(isLocal(address)).toBe(local)
})

test('a host has one spelling', () => {
  expect(parseListenAddress('ID.example.org:1')).toEqual({ kind: 'tcp', host: 'id.example.org', port: 1 })
})

describe('is no address', () => {
  test.each([
    '',
    '8443',
    ':8443',
    'localhost',
    'localhost:',
    'localhost:http',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '::1:8443',
    '[::1]',
    '[::1]8443',
    '[localhost]:1',
    '[::1::]:1',
    '[127.0.0.1:1',
    '127.0.0.256:1',
    '127.0.0:1',
    'unix:',
    'http://localhost:1',
    'a b:1',
    'localhost:1 ',
  ])('%j', (text) => {
    expect(() => parseListenAddress(text)).toThrow(expect.objectContaining({ code: 'encoding' }))
  })
})
