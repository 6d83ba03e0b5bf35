import { expect, test } from 'vitest'
import { endsConnection, isWorthAnotherTry, postgresError } from '../../../src/adapters/stores/postgres-errors.ts'
import { StoreError } from '../../../src/core/store.ts'

/** As `pg` throws what the server says. */
const ofServer = (code: string, severity = 'ERROR') =>
  Object.assign(new Error('Key (id)=(planted) exists'), { code, severity })
const ofNode = (code: string) => Object.assign(new Error(`connect ${code}`), { code })

test.each<[string, unknown, string, string]>([
  ['a key that exists', ofServer('23505'), 'conflict', 'the store has an entry of that key (23505)'],
  ['a server that takes no writes', ofServer('25006'), 'read_only', 'takes no writes'],
  ['a disk that is full', ofServer('53100'), 'unavailable', 'out of something: disk, memory or connections (53100)'],
  [
    'a password that is wrong',
    ofServer('28P01', 'FATAL'),
    'unavailable',
    'check user, password and pg_hba.conf (28P01)',
  ],
  ['a server that starts', ofServer('57P03', 'FATAL'), 'unavailable', 'the server is stopping or starting (57P03)'],
  ['a statement that took too long', ofServer('57014'), 'unavailable', 'the server took too long (57014)'],
  ['something that nobody foresaw', ofServer('22021'), 'unavailable', 'SQLSTATE 22021'],
  ['a port where nobody listens', ofNode('ECONNREFUSED'), 'unavailable', 'nobody listens there (ECONNREFUSED)'],
  ['an error of TLS', ofNode('CERT_HAS_EXPIRED'), 'unavailable', 'connect CERT_HAS_EXPIRED (CERT_HAS_EXPIRED)'],
  ['an answer that did not come', new Error('Query read timeout'), 'unavailable', 'Query read timeout'],
  ['nothing', undefined, 'unavailable', 'unknown error'],
])('%s is told in words', (_, error, code, message) => {
  const told = postgresError(error)
  expect(told).toMatchObject({ code, message: expect.stringContaining(message), cause: error })
  expect(told.message).not.toContain('planted')
})

test('an error of a store is left as it is', () => {
  const error = new StoreError('newer_version', 'x')
  expect(postgresError(error)).toBe(error)
})

test.each<[string, unknown, boolean]>([
  ['a key that exists', ofServer('23505'), false],
  ['a lock that others held', ofServer('55P03'), false],
  ['a server that takes no writes', ofServer('25006'), true],
  ['an administrator who ended it', ofServer('57P01', 'FATAL'), true],
  ['an answer that did not come', new Error('Query read timeout'), true],
])('after %s a connection is good for nothing: %s %s', (_, error, ends) => {
  expect(endsConnection(error)).toBe(ends)
})

test.each<[string, boolean]>([
  ['40P01', true],
  ['40001', true],
  ['23505', false],
])('%s is worth another try: %s', (code, isWorth) => {
  expect(isWorthAnotherTry(ofServer(code))).toBe(isWorth)
})
