import { expect, test } from 'vitest'
import {
  awsVariables,
  azureVariables,
  childEnvironment,
  googleExecDocument,
  googleVariables,
  readDefaultRegion,
  removedVariables,
} from '../../src/cli/exec-environment.ts'

const place = { origin: 'http://127.0.0.1:7', secret: 's', emptyFile: '/run/empty', googleFile: '/run/google.json' }

test.each([
  ['[default]\nregion = eu-west-1\n', 'eu-west-1'],
  ['# mine\n[profile a]\nregion = us-east-1\n\n[default]\noutput=json\nregion=eu-west-1', 'eu-west-1'],
  ['[default]\noutput = json\n[profile a]\nregion = us-east-1\n', undefined],
  ['[profile default]\nregion = us-east-1\n', undefined],
  ['region = eu-west-1', undefined],
  ['', undefined],
])('the region of %j', (text, region) => {
  expect(readDefaultRegion(text)).toBe(region)
})

test('variables of AWS lead to the server of this run, and to no other credentials', () => {
  expect(awsVariables(place, {}, '[default]\nregion = eu-west-1\n')).toEqual({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:7/aws',
    AWS_CONTAINER_AUTHORIZATION_TOKEN: 's',
    AWS_CONFIG_FILE: '/run/empty',
    AWS_SHARED_CREDENTIALS_FILE: '/run/empty',
    AWS_REGION: 'eu-west-1',
    AWS_DEFAULT_REGION: 'eu-west-1',
  })
  expect(awsVariables(place, { AWS_REGION: 'eu-north-1' }, '[default]\nregion = eu-west-1\n')).toMatchObject({
    AWS_REGION: 'eu-north-1',
  })
  expect(awsVariables(place, {}, '')).not.toHaveProperty('AWS_REGION')
})

test('variables of Azure are those of App Service, or with facts those of AKS', () => {
  expect(azureVariables(place)).toEqual({ IDENTITY_ENDPOINT: 'http://127.0.0.1:7/azure', IDENTITY_HEADER: 's' })
  const facts = { type: 'azure', tenant: 't', clientId: 'c', authorityHost: 'https://a', audience: 'x' } as const
  expect(azureVariables(place, facts, '/run/jwt')).toEqual({
    AZURE_TENANT_ID: 't',
    AZURE_CLIENT_ID: 'c',
    AZURE_AUTHORITY_HOST: 'https://a',
    AZURE_FEDERATED_TOKEN_FILE: '/run/jwt',
  })
})

test('variables of Google name a file whose token service is the server of this run', () => {
  expect(googleVariables(place)).toEqual({
    GOOGLE_APPLICATION_CREDENTIALS: '/run/google.json',
    CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE: '/run/google.json',
  })
  expect(googleExecDocument(place.origin, 'reports', '/run/secret')).toMatchObject({
    token_url: 'http://127.0.0.1:7/gcp',
    credential_source: { file: '/run/secret' },
  })
})

test('only variables of the clouds in question are taken away', () => {
  const env = Object.fromEntries(
    [...Object.values(removedVariables).flat(), 'PATH', 'AWS_CA_BUNDLE'].map((name) => [name, 'old']),
  )
  const child = childEnvironment({ ...env, GONE: undefined }, ['aws', 'gcp'], { AWS_CONFIG_FILE: 'new' })
  expect(Object.keys(child).sort()).toEqual(
    [...removedVariables.azure, 'PATH', 'AWS_CA_BUNDLE', 'AWS_CONFIG_FILE'].sort(),
  )
  expect(child['AWS_CONFIG_FILE']).toBe('new')
})

test.each([
  [{}, undefined],
  [{ NO_PROXY: 'internal' }, 'internal'],
  [{ HTTPS_PROXY: 'http://proxy' }, '127.0.0.1'],
  [{ http_proxy: 'http://proxy', no_proxy: 'internal' }, 'internal,127.0.0.1'],
])('with %j loopback goes through no proxy', (env, wanted) => {
  expect(childEnvironment(env, ['aws'], {})['NO_PROXY']).toBe(wanted)
})
