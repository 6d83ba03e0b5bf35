/**
 * Stands in for a cloud on a laptop: the strict doubles that the tests have, which check a token as the cloud does (keys by
 * discovery, over TLS; algorithm, issuer, audience, subject, times) and refuse with its own codes. They are no cloud: what
 * they hand out opens nothing.
 *
 * A cloud reads the issuer's documents at its public name, with a certificate of a public authority. Here the stand-in is
 * told where that name is, and one authority of this run takes the place of the public ones.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CloudOptions } from '../../test/support/clouds/cloud-server.ts'
import type { Gateway, Places } from './gateway.ts'
import { createLocalAuthority } from './local-authority.ts'

export interface CloudStandIn<Cloud> {
  readonly cloud: Cloud
  /** PEM: the authority of all certificates of the run. */
  readonly caFile: string
  /** What the configuration is to have of it: the issuer's name and certificate. */
  readonly places: Places
  /** From now on the issuer's name leads to this gateway. */
  readonly pointTo: (gateway: Gateway) => void
}

/** As every `apostille.yaml` of these examples says it. */
export const issuer = 'https://id.example.org'

/** @param start Such as `startAwsSts`, or what starts the doubles of several clouds. */
export async function startCloudStandIn<Cloud>(
  folder: string,
  start: (options: CloudOptions) => Promise<Cloud>,
): Promise<CloudStandIn<Cloud>> {
  const authority = await createLocalAuthority('stand-in for public CAs')
  const { host } = new URL(issuer)
  const { cert, key } = await authority.issue([host, 'localhost'])
  const files = { ca: join(folder, 'public-ca.pem'), cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  await writeFile(files.ca, authority.ca)
  await writeFile(files.cert, cert)
  await writeFile(files.key, key, { mode: 0o600 })

  const resolve: Record<string, string> = {}
  const cloud = await start({ authority, publicCas: [authority.ca], resolve })
  return {
    cloud,
    caFile: files.ca,
    places: [
      [['issuer'], issuer],
      [['listen', 'tls', 'certificate'], files.cert],
      [['listen', 'tls', 'key'], files.key],
    ],
    pointTo({ url }) {
      resolve[host] = `127.0.0.1:${new URL(url).port}`
    },
  }
}
