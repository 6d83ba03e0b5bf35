/**
 * The vendors' SDKs for Node as any program uses them. For each line on standard input it starts from nothing, and writes
 * what came of it as one line of JSON.
 *
 * @module
 */
import { createInterface } from 'node:readline'

const scope = 'https://vault.azure.net/.default'

async function askAws() {
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts')
  const { Arn: arn } = await new STSClient().send(new GetCallerIdentityCommand())
  return { arn }
}

async function askAzure() {
  const { WorkloadIdentityCredential } = await import('@azure/identity')
  // Whether an authority host is one of Microsoft's, the SDK asks Microsoft; this one is not.
  const credential = new WorkloadIdentityCredential({ disableInstanceDiscovery: true })
  return { token: (await credential.getToken(scope)).token }
}

/** As the credential chain does on App Service and Azure Container Apps. */
async function askManagedIdentity() {
  const { ManagedIdentityCredential } = await import('@azure/identity')
  return { token: (await new ManagedIdentityCredential().getToken(scope)).token }
}

async function askGoogle() {
  const { GoogleAuth } = await import('google-auth-library')
  const auth = new GoogleAuth({ scopes: ['https://www.googleapis.com/auth/cloud-platform'] })
  return { token: await auth.getAccessToken() }
}

const ask = { aws: askAws, azure: askAzure, 'managed-identity': askManagedIdentity, google: askGoogle }[
  process.argv[2] ?? ''
]
if (ask === undefined) throw new Error('which SDK?')

for await (const _ of createInterface({ input: process.stdin })) {
  const answer = await ask().catch((error: Error) => ({ error: error.name, message: error.message }))
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
