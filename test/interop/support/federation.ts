/**
 * A gateway that follows the bundles of SPIRE servers and takes their SVIDs.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { expect } from 'vitest'
import type { RecordDocument } from '../../../src/core/record.ts'
import { type Finished, run } from './command.ts'
import { startGateway, type TestGateway } from './gateway.ts'
import { ask, type Got, type Wanted } from './https.ts'
import type { Spire } from './spire.ts'
import { makeRequest } from './svids.ts'

/** The one audience that {@link startFollower} grants. */
export const api = 'https://api.example.org'

export interface Follower extends TestGateway {
  /** The command line, with this gateway's configuration. */
  readonly command: (...args: readonly string[]) => Promise<Finished>
  readonly admin: (path: string, wanted?: Wanted) => Promise<Got>
  /** Of the operation, oldest first. */
  readonly recordsOf: (operation: string) => Promise<readonly RecordDocument[]>
}

type Document = Readonly<Record<string, unknown>>

/** A trust domain as the gateway has it configured. */
export interface Followed {
  readonly trustDomain: string
  /** SPIFFE JSON. */
  readonly firstBundle: string
  /** `endpoint`, `profile` and what belongs to them. */
  readonly endpoint?: Document
}

/** A SPIRE by `https_spiffe`, from its bundle as its operator is shown it. */
export async function followed(spire: Spire): Promise<Followed> {
  const endpoint = { endpoint: spire.bundleEndpoint, profile: 'https_spiffe', endpoint_spiffe_id: spire.spiffeId }
  return { trustDomain: spire.trustDomain, firstBundle: await spire.bundleShow(), endpoint }
}

export const authenticatorOf = (trustDomain: string) => trustDomain.replaceAll('.', '-')

/**
 * Workloads of the trust domains get identities below `/spire`, and JWT-SVIDs for {@link api}.
 *
 * @param folder For the files of the bundles.
 */
export async function startFollower(
  stack: AsyncDisposableStack,
  folder: string,
  domains: readonly Followed[],
  more: (origin: string) => Document = () => ({}),
): Promise<Follower> {
  const peers = await Promise.all(domains.map((domain) => writePeer(folder, domain)))
  const gateway = await startGateway(stack, (origin) => ({
    authenticators: {
      first: { type: 'join_token' },
      ours: { type: 'spiffe', trust_domain: 'example.org' },
      ...Object.fromEntries(
        domains.map(({ trustDomain }) => [authenticatorOf(trustDomain), { type: 'spiffe', trust_domain: trustDomain }]),
      ),
    },
    federation: Object.fromEntries(peers),
    identities: [
      ...domains.map(({ trustDomain }) => ({
        name: authenticatorOf(trustDomain),
        from: authenticatorOf(trustDomain),
        spiffe_id: '/spire${proof.path}',
        audiences: [api],
      })),
      { from: 'first', spiffe_id: '/vm/${proof.name}', audiences: [api] },
    ],
    ...more(origin),
  }))
  const admin: Follower['admin'] = (path, wanted) =>
    ask(`http://admin${path}`, { socketPath: join(gateway.folder, 'admin.sock'), ...wanted })
  return {
    ...gateway,
    admin,
    command: (...args) => run(process.execPath, [commandLine, ...args, '--config', `${gateway.folder}/apostille.yaml`]),
    recordsOf: async (operation) => (await gateway.records()).filter((record) => record.operation === operation),
  }
}

export const commandLine = join(import.meta.dirname, '../../../src/cli/main.ts')

async function writePeer(folder: string, { trustDomain, firstBundle, endpoint }: Followed) {
  const bundle = join(folder, `${trustDomain}.json`)
  await writeFile(bundle, firstBundle)
  return [trustDomain, { bundle, ...endpoint }] as const
}

/** A bearer token, or a client certificate with its key. */
export type ShownProof = Pick<Wanted, 'bearer' | 'cert' | 'key' | 'headers'>

export function askJwtSvid(gateway: TestGateway, proof: ShownProof): Promise<Got> {
  return gateway.ask('/v1/svid/jwt', { ...proof, json: { audience: [api] } })
}

/** What an API learns that knows our issuer alone. @throws unless the token holds */
export async function readJwtSvid(gateway: TestGateway, token: string): Promise<unknown> {
  const keys = createLocalJWKSet((await gateway.ask('/keys')).json)
  const { payload } = await jwtVerify(token, keys, { issuer: gateway.origin, audience: api })
  return payload.sub
}

/** The names in an X.509-SVID of ours, whose signature is one of our authorities'. */
export async function fetchX509Names(gateway: TestGateway, proof: ShownProof): Promise<string | undefined> {
  const { csr } = await makeRequest()
  const { status, json } = await gateway.ask('/v1/svid/x509', { ...proof, json: { csr } })
  expect(status).toBe(200)
  const [leaf, root] = [new X509Certificate(json.certificates), new X509Certificate(json.bundle)]
  expect(leaf.verify(root.publicKey)).toBe(true)
  return leaf.subjectAltName
}
