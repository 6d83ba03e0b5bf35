/** The list of every key, and the meanings that the published schema and editors have of it. */
import { describe, expect, test } from 'vitest'
import { buildConfigSchema } from '../../scripts/config-schema.ts'
import { listKeys, readMeanings } from '../../scripts/docs/configuration-keys.ts'

const schema = buildConfigSchema()
const keys = new Map(listKeys(schema).map((key) => [key.path, key]))
const meanings = readMeanings()

test('keys are found in maps, lists and kinds', () => {
  const wanted = ['listen.trusted_proxies.from', 'identities[].when', 'targets.NAME.role_arn', 'seal.also[].env']
  for (const path of wanted) expect(keys.has(path)).toBe(true)
})

test.each([...meanings.keys()])('%s, which docs/configuration.md explains, is a key', (path) => {
  expect(keys.has(path)).toBe(true)
})

test('keys of what is named in the configuration are explained', () => {
  const unexplained = [...keys.keys()].filter(
    (path) =>
      /^(?:identities|policies|targets|sources|destinations|syncs|federation)\b[^.]*\.(?:\w+\.)?\w+$/.test(path) &&
      !meanings.has(path),
  )
  expect(unexplained).toEqual([])
})

describe('the meaning of a key', () => {
  test.each([
    ['identities[].x509_ttl', '`1h`', 'life of SVIDs; a caller may ask for less'],
    ['identities[].jwt_ttl', '`5m`', 'life of SVIDs; a caller may ask for less'],
    ['targets.NAME.session_duration', '`1h`', '`15m` to `12h`, and no more than the role allows'],
  ])('%s', (path, fallback, about) => {
    expect(meanings.get(path)).toEqual({ fallback, about })
  })

  test('is in the schema, without links', () => {
    const [endpoint] = keys.get('bundle_endpoint')?.schemas ?? []
    expect(endpoint?.['description']).toBe('`{ address, profile: https_spiffe }`: a second listener for federation')
  })
})
