/**
 * The bundle endpoints of trust domains, all on one port of this process, which they do not keep from ending.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { cores, runOn } from './cores.ts'
import type { ForeignDomain } from './foreign-domain.ts'

export interface BundleServer {
  /** On 127.0.0.1; the bundle of a domain is at `/<its name>`. */
  readonly port: number
  /** Of the server itself, PEM: it is its own authority. */
  readonly certificate: string
}

export async function startBundleServer(folder: string, domains: readonly ForeignDomain[]): Promise<BundleServer> {
  const { key, certificate } = await createCertificate(folder)
  const bundles = new Map(domains.map(({ name, bundle }) => [`/${name}`, bundle]))
  const server = createServer({ key, cert: certificate }, (request, response) => {
    const bundle = bundles.get(request.url ?? '')
    response.writeHead(bundle === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(bundle)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  return { port: (server.address() as AddressInfo).port, certificate }
}

async function createCertificate(folder: string): Promise<{ readonly key: string; readonly certificate: string }> {
  const [keyFile, certificateFile] = [join(folder, 'bundle-server.key'), join(folder, 'bundle-server.pem')]
  const name = ['-subj', '/CN=bundles', '-addext', 'subjectAltName=IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', keyFile]
  await runOn(cores.load, ['openssl', 'req', '-x509', '-days', '2', ...name, ...key, '-out', certificateFile])
  return { key: await readFile(keyFile, 'utf8'), certificate: await readFile(certificateFile, 'utf8') }
}
