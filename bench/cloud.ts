/**
 * A server with a target of AWS, and an STS that checks the tokens it is shown as that of AWS does, in this process. It
 * reads the server's documents over TLS by the name of the issuer.
 *
 * @module
 */
import { startAwsSts } from '../test/support/clouds/aws-sts.ts'
import { readToken, textClaim } from '../test/support/clouds/presented-token.ts'
import { startHttpsServer } from '../test/support/https-server.ts'
import { createTestAuthority } from '../test/support/tls.ts'
import { type ServerProcess, startServerProcess } from './server-process.ts'
import { issuer, type Workload } from './workload.ts'

export interface Cloud {
  readonly server: ServerProcess
  /** Where a workload asks for its credential. */
  readonly path: string
  /** Exchanges since the last time that this was asked, by SPIFFE ID. */
  readonly takeExchanges: () => ReadonlyMap<string, number>
  readonly close: () => Promise<void>
}

const target = 'payments-s3'
const account = '123456789012'
const roleArn = `arn:aws:iam::${account}:role/payments`
const { host } = new URL(issuer)

/** @param folder Of the server. */
export async function startCloud(folder: string, workload: Workload): Promise<Cloud> {
  const authority = await createTestAuthority('public CA')
  let origin = ''
  const documents = await startHttpsServer(await authority.issue([host]), ({ url }, response) => {
    fetch(`${origin}${url}`)
      .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
      .catch(() => response.writeHead(502).end())
  })
  const resolve = { [host]: `127.0.0.1:${documents.port}` }
  const sts = await startAwsSts({ publicCas: [authority.ca], resolve })
  sts.createOidcProvider({ account, url: issuer, clientIds: ['sts.amazonaws.com'] })
  sts.state.roles.set(roleArn, { arn: roleArn, trustPolicy })
  const members = { type: 'aws', role_arn: roleArn, region: 'eu-west-1', endpoint: sts.url, ca_file: sts.caFile }
  const server = await startServerProcess(folder, workload, { rules: 1, tls: false, targets: { [target]: members } })
  origin = server.url
  return {
    server,
    path: `/v1/credentials/${target}`,
    takeExchanges() {
      const subjects = sts.requests.splice(0).map(({ fields }) => readToken(fields['WebIdentityToken'] ?? ''))
      return countEach(subjects.map((token) => (token && textClaim(token, 'sub')) ?? ''))
    },
    async close() {
      await server.close()
      await Promise.all([sts.close(), documents.close()])
    },
  }
}

const trustPolicy = {
  Version: '2012-10-17' as const,
  Statement: [
    {
      Effect: 'Allow' as const,
      Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/${host}` },
      Action: ['sts:AssumeRoleWithWebIdentity'],
      Condition: {
        StringEquals: { [`${host}:aud`]: 'sts.amazonaws.com' },
        StringLike: { [`${host}:sub`]: 'spiffe://example.org/ns/*' },
      },
    },
  ],
}

function countEach(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}
