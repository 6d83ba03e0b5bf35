import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cleanupAfterAll } from './support/cleanup.ts'
import { cloudClientSuite } from './support/cloud-clients.ts'
import { openCloudWorld, payments } from './support/clouds.ts'
import { runOk } from './support/command.ts'
import { part } from './support/parts.ts'

const stack = cleanupAfterAll()
const program = join(import.meta.dirname, 'python/clouds.py')

cloudClientSuite({
  language: 'Python',
  open: async () => [await findPython(), program],
  trust: trustOfSystem,
  isImpatient: true,
  refusals: {
    gateway: /CredentialRetrievalError.*403/,
    aws: /CredentialRetrievalError.*502/,
    azure: /AADSTS700213/,
    google: /unauthorized_client/,
  },
})

async function findPython(): Promise<string> {
  return join(await part('python-environment.sh', 'test/interop/python/clouds.txt'), 'bin/python')
}

/**
 * Where botocore asks for container credentials it takes no AWS_CA_BUNDLE: it trusts what `certifi` says. Distributions
 * replace that with the store of the system, and so does this.
 */
async function trustOfSystem(caFile: string, folder: string): Promise<Readonly<Record<string, string>>> {
  const packages = join(folder, 'system')
  await mkdir(join(packages, 'certifi'), { recursive: true })
  await writeFile(join(packages, 'certifi/__init__.py'), `def where():\n    return ${JSON.stringify(caFile)}\n`)
  return {
    PYTHONPATH: packages,
    AWS_CA_BUNDLE: caFile,
    REQUESTS_CA_BUNDLE: caFile,
    SSL_CERT_FILE: caFile,
    // For the command line, which the library of Google runs.
    NODE_EXTRA_CA_CERTS: caFile,
  }
}

test('without that, boto3 asks nobody whose authority is private, whatever AWS_CA_BUNDLE says', async () => {
  const world = await openCloudWorld(stack)
  const said = await runOk(await findPython(), [program, 'aws'], {
    input: 'go\n',
    env: {
      HOME: world.folder,
      AWS_DEFAULT_REGION: 'eu-west-1',
      AWS_CA_BUNDLE: world.caFile,
      SSL_CERT_FILE: world.caFile,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${world.gateway.origin}/v1/credentials/payments-s3`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: await world.writeToken(payments),
    },
  })
  expect(JSON.parse(said).message).toContain('CERTIFICATE_VERIFY_FAILED')
  expect(world.sts.requests).toEqual([])
})
