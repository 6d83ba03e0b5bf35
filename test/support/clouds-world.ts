/**
 * A real gateway and the three clouds, which read the gateway's documents over TLS by its public name.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AwsSts, startAwsSts } from './clouds/aws-sts.ts'
import type { CloudOptions } from './clouds/cloud-server.ts'
import { type Entra, startEntra } from './clouds/entra.ts'
import { type GoogleSts, startGoogleSts } from './clouds/google-sts.ts'
import { type Document, startGateway, type TestGateway } from './gateway.ts'
import { createTestAuthority } from './tls.ts'
import { send, type WireAnswer, type WireTarget } from './wire.ts'

export const issuer = 'https://id.example.org'
export const account = '123456789012'
export const roleArn = `arn:aws:iam::${account}:role/payments`
export const tenant = '11111111-2222-3333-4444-555555555555'
export const clientId = '66666666-7777-8888-9999-000000000000'
export const provider = 'projects/123456789/locations/global/workloadIdentityPools/apostille/providers/apostille'

/** The three clouds, which trust every identity of `example.org` below `/`. */
export interface Clouds {
  readonly sts: AwsSts
  readonly entra: Entra
  readonly google: GoogleSts
  readonly targets: Readonly<Record<'aws' | 'azure' | 'gcp', Document>>
  /** Lets Entra take tokens of these subjects, and of no others: it has no patterns. */
  readonly knowSubjects: (subjects: readonly string[]) => void
  readonly close: () => Promise<void>
}

export interface CloudsWorld extends Clouds {
  readonly gateway: TestGateway
  /** How far the clouds' clocks are ahead. */
  skewSeconds: number
  /** The public API by its public name. */
  readonly target: WireTarget
  /** A folder for files of the test. */
  readonly folder: string
  /** Gives the gateway another document, without the member `listen`. */
  readonly reload: (document: Document) => Promise<WireAnswer>
  /** Gets the credential of a target. */
  readonly ask: (target: string, authorization: string) => Promise<WireAnswer>
}

export interface CloudsWorldOptions {
  /** Members of the gateway's document, given what its targets have in common. */
  readonly document: (targets: CloudsWorld['targets'], folder: string) => Document
  readonly keyCache?: CloudOptions['keyCache']
}

export async function startClouds(options: CloudOptions): Promise<Clouds> {
  const [sts, entra, google] = await Promise.all([startAwsSts(options), startEntra(options), startGoogleSts(options)])
  trustUs(sts, google)
  entra.state.tenants.set(tenant, {})
  return {
    sts,
    entra,
    google,
    targets: {
      aws: { type: 'aws', role_arn: roleArn, region: 'eu-west-1', endpoint: sts.url, ca_file: sts.caFile },
      azure: { type: 'azure', tenant, client_id: clientId, authority_host: entra.url, ca_file: entra.caFile },
      gcp: { type: 'gcp', provider, token_url: google.tokenUrl, ca_file: google.caFile },
    },
    knowSubjects(subjects) {
      const federatedCredentials = subjects.map((subject, n) => ({
        name: `credential-${n}`,
        issuer,
        subject,
        audiences: ['api://AzureADTokenExchange'],
      }))
      entra.state.apps.splice(0, Number.POSITIVE_INFINITY, { tenant, clientId, federatedCredentials })
    },
    close: async () => void (await Promise.all([sts.close(), entra.close(), google.close()])),
  }
}

export async function openClouds({ document, keyCache }: CloudsWorldOptions): Promise<CloudsWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'clouds-world-'))
  const authority = await createTestAuthority('public CA')
  const { cert, key } = await authority.issue(['id.example.org'])
  writeFileSync(join(folder, 'tls.crt'), cert)
  writeFileSync(join(folder, 'tls.key'), key)
  const resolve: Record<string, string> = {}
  const clock = { skewSeconds: 0 }
  const options: CloudOptions = {
    publicCas: [authority.ca],
    resolve,
    now: () => new Date(Date.now() + clock.skewSeconds * 1000),
    ...(keyCache && { keyCache }),
  }
  const clouds = await startClouds(options)
  const listen = {
    address: '127.0.0.1:0',
    tls: { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') },
  }
  // What is tested is what becomes of those who are let in, however slow the machine is.
  const admission = { maxWaitMs: 60_000 }
  const gateway = await startGateway({ document: { listen, ...document(clouds.targets, folder) }, admission })
  const { address } = gateway.target
  if (address.kind !== 'tcp') throw new Error('the gateway is not on a port')
  resolve['id.example.org'] = `127.0.0.1:${address.port}`
  const target: WireTarget = { address, tls: { ca: authority.ca, servername: 'id.example.org' } }

  return Object.assign(clock, {
    ...clouds,
    gateway,
    target,
    folder,
    reload: (changes: Document) => gateway.reload({ listen, ...changes }),
    ask: (name: string, authorization: string) =>
      send(target, `/v1/credentials/${name}`, { headers: { authorization } }),
    async close() {
      await gateway[Symbol.asyncDispose]()
      await clouds.close()
      rmSync(folder, { recursive: true, force: true })
    },
  })
}

function trustUs(sts: AwsSts, google: GoogleSts): void {
  sts.createOidcProvider({ account, url: issuer, clientIds: ['sts.amazonaws.com'] })
  const statement = {
    Effect: 'Allow' as const,
    Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/id.example.org` },
    Action: ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession', 'sts:SetSourceIdentity'],
    Condition: {
      StringEquals: { 'id.example.org:aud': 'sts.amazonaws.com' },
      StringLike: { 'id.example.org:sub': 'spiffe://example.org/*' },
    },
  }
  const trustPolicy = { Version: '2012-10-17' as const, Statement: [statement] }
  sts.state.roles.set(roleArn, { arn: roleArn, trustPolicy })
  google.state.pools.set(provider.replace(/\/providers\/.*/, ''), {})
  google.createProvider(provider, {
    attributeMapping: { 'google.subject': "assertion.sub.extract('spiffe://example.org/{id}')" },
    oidc: { issuerUri: issuer },
  })
}
