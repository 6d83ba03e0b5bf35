/**
 * A gateway with a target in each of the three clouds, a cluster whose service accounts are its callers, and doubles of the
 * clouds that read the gateway's documents by its public name.
 *
 * Everybody's TLS certificate is of one authority, which stands for the public ones.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ServiceAccount, startClusterStandIn } from '../../../examples/support/cluster-stand-in.ts'
import { createLocalAuthority } from '../../../examples/support/local-authority.ts'
import { type AwsSts, startAwsSts } from '../../support/clouds/aws-sts.ts'
import { type Entra, startEntra } from '../../support/clouds/entra.ts'
import { type GoogleSts, startGoogleSts } from '../../support/clouds/google-sts.ts'
import { makeFolder } from './cleanup.ts'
import { startGateway, type TestGateway } from './gateway.ts'
import type { Got } from './https.ts'

/** Without a port, which clouds refuse; the doubles know where it is. */
export const issuer = 'https://id.example.org'
export const account = '123456789012'
export const roleArn = `arn:aws:iam::${account}:role/payments`
export const tenant = '11111111-2222-3333-4444-555555555555'
export const provider = 'projects/123456789/locations/global/workloadIdentityPools/apostille/providers/apostille'
export const serviceAccountEmail = 'reports@example.iam.gserviceaccount.com'
export const azureAudience = 'api://AzureADTokenExchange'
export const googleAudience = `https://iam.googleapis.com/${provider}`
const kubernetesAudience = 'apostille'

export const payments: ServiceAccount = { namespace: 'payments', name: 'payments-api' }
export const reports: ServiceAccount = { namespace: 'payments', name: 'reports' }
/** The gateway knows it, and no policy permits it anything. */
export const stranger: ServiceAccount = { namespace: 'web', name: 'web' }

export interface CloudWorld {
  readonly gateway: TestGateway
  readonly sts: AwsSts
  readonly entra: Entra
  readonly google: GoogleSts
  readonly folder: string
  /** PEM: whom everybody trusts. */
  readonly caFile: string
  /** How far the clouds' clocks are ahead of ours. */
  readonly clock: { skewSeconds: number }
  /** A token as the kubelet puts it into a pod. */
  readonly tokenOf: (account: ServiceAccount) => string
  /** Puts such a token into a file, without a line end. */
  readonly writeToken: (account: ServiceAccount, name?: string) => Promise<string>
  readonly ask: (target: string, account: ServiceAccount) => Promise<Got>
}

export interface CloudWorldOptions {
  /** Application ids; each takes tokens for 20 subjects at most. {@link defaultApp} by default. */
  readonly apps?: readonly { readonly clientId: string; readonly accounts: readonly ServiceAccount[] }[]
  /** Another cluster than the stand-in. */
  readonly cluster?: { readonly issuer: string; readonly caFile: string }
}

/** Those who ask for nothing but where a test says so. */
export const others: readonly ServiceAccount[] = ['one', 'two', 'three'].map((name) => ({
  namespace: 'payments',
  name,
}))

export const defaultApp = {
  clientId: '66666666-7777-8888-9999-000000000000',
  accounts: [payments, reports, ...others],
}

export const idOf = ({ namespace, name }: ServiceAccount) => `spiffe://example.org/ns/${namespace}/sa/${name}`

export async function openCloudWorld(
  stack: AsyncDisposableStack,
  { apps = [defaultApp], cluster }: CloudWorldOptions = {},
): Promise<CloudWorld> {
  const folder = await makeFolder(stack)
  const authority = await createLocalAuthority('public CA')
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, authority.ca)
  const standIn = await startClusterStandIn()
  stack.defer(standIn.close)
  const standInCa = join(folder, 'cluster-ca.pem')
  await writeFile(standInCa, standIn.ca)

  const clock = { skewSeconds: 0 }
  const resolve: Record<string, string> = {}
  const now = () => new Date(Date.now() + clock.skewSeconds * 1000)
  const options = { publicCas: [authority.ca], authority, resolve, now }
  const [sts, entra, google] = await Promise.all([startAwsSts(options), startEntra(options), startGoogleSts(options)])
  for (const cloud of [sts, entra, google]) stack.defer(cloud.close)
  trustUs({ sts, entra, google }, apps)

  const { cert, key } = await authority.issue(['id.example.org', 'localhost'])
  const tls = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  await writeFile(tls.certificate, cert)
  await writeFile(tls.key, key, { mode: 0o600 })
  const callers = cluster ?? { issuer: standIn.issuer, caFile: standInCa }
  const gateway = await startGateway(stack, (origin) => ({
    ...gatewayDocument({ sts, entra, google, caFile, apps, callers }),
    issuer,
    listen: { address: `127.0.0.1:${new URL(origin).port}`, tls },
  }))
  resolve['id.example.org'] = `127.0.0.1:${new URL(gateway.origin).port}`

  const tokenOf = (account: ServiceAccount) => standIn.mintToken(account, kubernetesAudience)
  async function writeToken(account: ServiceAccount, name = 'token'): Promise<string> {
    const file = join(folder, name)
    await writeFile(file, tokenOf(account), { mode: 0o600 })
    return file
  }
  const ask: CloudWorld['ask'] = (target, caller) =>
    gateway.ask(`/v1/credentials/${target}`, { ca: authority.ca, bearer: tokenOf(caller) })
  return { gateway, sts, entra, google, folder, caFile, clock, tokenOf, writeToken, ask }
}

type Clouds = Pick<CloudWorld, 'sts' | 'entra' | 'google'>
type Apps = NonNullable<CloudWorldOptions['apps']>

interface DocumentInput extends Clouds {
  readonly caFile: string
  readonly apps: Apps
  readonly callers: { readonly issuer: string; readonly caFile: string }
}

function gatewayDocument({ sts, entra, google, caFile, apps, callers }: DocumentInput) {
  const gcp = { type: 'gcp', provider, token_url: google.tokenUrl, ca_file: caFile }
  const azure = { type: 'azure', tenant, authority_host: entra.url, ca_file: caFile }
  const scopes = ['https://vault.azure.net/.default']
  return {
    authenticators: {
      cluster: { type: 'kubernetes', issuer: callers.issuer, ca_file: callers.caFile, audience: kubernetesAudience },
    },
    identities: [
      {
        name: 'workloads',
        from: 'cluster',
        spiffe_id: '/ns/${proof.namespace}/sa/${proof.service_account}',
        audiences: ['sts.amazonaws.com', azureAudience, googleAudience],
      },
    ],
    targets: {
      'payments-s3': { type: 'aws', role_arn: roleArn, region: 'eu-west-1', endpoint: sts.url, ca_file: caFile },
      ...Object.fromEntries(
        apps.map(({ clientId }, n) => [`vault${n === 0 ? '' : n}`, { ...azure, client_id: clientId, scopes }]),
      ),
      bucket: gcp,
      reports: {
        ...gcp,
        service_account: serviceAccountEmail,
        impersonation_url: google.impersonationUrl(serviceAccountEmail),
      },
    },
    policies: [{ name: 'payments', permit: 'exchange', to: '*', when: "identity.path.startsWith('/ns/payments/')" }],
  }
}

function trustUs({ sts, entra, google }: Clouds, apps: Apps): void {
  sts.createOidcProvider({ account, url: issuer, clientIds: ['sts.amazonaws.com'] })
  sts.state.roles.set(roleArn, {
    arn: roleArn,
    trustPolicy: {
      Version: '2012-10-17',
      Statement: {
        Effect: 'Allow',
        Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/id.example.org` },
        Action: 'sts:AssumeRoleWithWebIdentity',
        Condition: {
          StringEquals: { 'id.example.org:aud': 'sts.amazonaws.com' },
          StringLike: { 'id.example.org:sub': 'spiffe://example.org/ns/payments/sa/*' },
        },
      },
    },
  })
  entra.state.tenants.set(tenant, {})
  for (const { clientId, accounts } of apps) {
    const federatedCredentials = accounts.map((caller) => ({
      name: caller.name,
      issuer,
      subject: idOf(caller),
      audiences: [azureAudience],
    }))
    entra.state.apps.push({ tenant, clientId, federatedCredentials })
  }
  const pool = provider.replace(/\/providers\/.*/, '')
  google.state.pools.set(pool, {})
  google.createProvider(provider, {
    attributeMapping: { 'google.subject': "assertion.sub.extract('spiffe://example.org/{id}')" },
    attributeCondition: "assertion.sub.startsWith('spiffe://example.org/ns/payments/')",
    oidc: { issuerUri: issuer },
  })
  google.state.serviceAccounts.set(serviceAccountEmail, {
    bindings: [
      {
        role: 'roles/iam.workloadIdentityUser',
        members: [payments, reports].map(
          (caller) =>
            `principal://iam.googleapis.com/${pool}/subject/${idOf(caller).replace('spiffe://example.org/', '')}`,
        ),
      },
    ],
  })
}
