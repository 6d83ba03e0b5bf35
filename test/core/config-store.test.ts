import { expect, test } from 'vitest'
import { storeField, storeFiles } from '../../src/core/config-store.ts'

const problemOf = (text: string) => storeField.safeParse(text).error?.issues[0]?.message
const verified = { verify: 'full' }

test.each<[string, object]>([
  ['sqlite:./data/a.db', { kind: 'sqlite', path: './data/a.db' }],
  [
    'postgres://apostille@db.example/issuer',
    { servers: [{ host: 'db.example', port: 5432 }], user: 'apostille', database: 'issuer', tls: verified },
  ],
  [
    'postgresql://a%40b@db.example:6432',
    { servers: [{ host: 'db.example', port: 6432 }], user: 'a@b', database: 'a@b' },
  ],
  ['postgres://u:${file:/run/secrets/db@x}@db.example/d', { password: { file: '/run/secrets/db@x' } }],
  ['postgres://u:${env:DB_PASSWORD}@db.example/d', { password: { env: 'DB_PASSWORD' } }],
  ['postgres://u@/d?host=/run/postgresql', { servers: [{ host: '/run/postgresql', port: 5432 }], database: 'd' }],
  ['postgres://u@/d?host=/run/postgresql&port=5433', { servers: [{ host: '/run/postgresql', port: 5433 }] }],
  ['postgres://u@%2Frun%2Fpostgresql/d', { servers: [{ host: '/run/postgresql', port: 5432 }] }],
  ['postgres://u@[::1]:5433/d', { servers: [{ host: '::1', port: 5433 }] }],
  [
    'postgres://u@a.example:1,b.example/d',
    {
      servers: [
        { host: 'a.example', port: 1 },
        { host: 'b.example', port: 5432 },
      ],
    },
  ],
  [
    'postgres://u@/d?host=a.example,b.example&port=6432',
    {
      servers: [
        { host: 'a.example', port: 6432 },
        { host: 'b.example', port: 6432 },
      ],
    },
  ],
  ['postgres://u@db.example/d?sslmode=require', { tls: { verify: 'none' } }],
  ['postgres://u@db.example/d?sslmode=verify-ca&sslrootcert=ca.pem', { tls: { verify: 'chain', ca_file: 'ca.pem' } }],
  [
    'postgres://u@127.0.0.1/d?sslmode=verify-full&sslcert=c.pem&sslkey=k.pem',
    { tls: { verify: 'full', cert_file: 'c.pem', key_file: 'k.pem' } },
  ],
])('%s is read', (text, expected) => {
  expect(storeField.parse(text)).toMatchObject(expected)
})

test.each(['postgres://u@localhost/d', 'postgres://u@/d?host=/run', 'postgres://u@db.example/d?sslmode=disable'])(
  '%s has no TLS',
  (text) => {
    expect(storeField.parse(text)).not.toHaveProperty('tls')
  },
)

test.each([
  ['mysql://u@db/d', 'expected sqlite:PATH or postgres://USER@HOST/DATABASE'],
  ['sqlite:', 'expected sqlite:PATH or postgres://USER@HOST/DATABASE'],
  ['postgres://db.example/d', 'expected the user of the database: postgres://USER@HOST/DATABASE'],
  ['postgres://u:secret@db/d', 'a password is not written here: name where it stands, as ${file:PATH} or ${env:NAME}'],
  [
    'postgres://u:${env:A-B}@db/d',
    'a password is not written here: name where it stands, as ${file:PATH} or ${env:NAME}',
  ],
  ['postgres://u@/d', 'expected a host, or the folder of a unix socket: ?host=/run/postgresql'],
  ['postgres://u@a,,b/d', 'expected a host, or the folder of a unix socket: ?host=/run/postgresql'],
  ['postgres://u@::1/d', '::1 is no host: expected HOST or HOST:PORT'],
  ['postgres://u@db:70000/d', 'expected a port from 1 to 65535'],
  ['postgres://u@/d?host=/run&port=x', 'expected a port from 1 to 65535'],
  ['postgres://u%4@db/d', 'a % begins the two hex digits of a character: write %25 for itself'],
  ['postgres://u@db/d?sslmode=prefer', 'sslmode: expected one of disable, verify-full, verify-ca, require'],
  ['postgres://u@db/d?ssl=true', 'unknown parameter ssl: there are sslmode, sslrootcert, sslcert, sslkey, host, port'],
  ['postgres://u@db/d?sslcert=c.pem', 'sslcert and sslkey: expected both or neither'],
  ['postgres://u@/d?host=/run&sslmode=require', 'there is no TLS on a unix socket: leave sslmode out'],
])('%s is refused', (text, problem) => {
  expect(problemOf(text)).toBe(problem)
})

test('a password that is written out is not in what is said of it', () => {
  expect(problemOf('postgres://u:hunter2@db/d')).not.toContain('hunter2')
})

test('files that it names are known', () => {
  const text = 'postgres://u:${file:pw}@db/d?sslrootcert=ca.pem&sslcert=c.pem&sslkey=k.pem'
  expect(storeFiles(storeField.parse(text))).toEqual({
    password: 'pw',
    ca_file: 'ca.pem',
    cert_file: 'c.pem',
    key_file: 'k.pem',
  })
  expect(storeFiles(storeField.parse('sqlite:a'))).toEqual({})
})
